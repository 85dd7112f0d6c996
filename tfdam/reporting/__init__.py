"""Results for people: scores, tables, pictures, and the monitor of adaptation."""
