"""What people look at: scores, tables, pictures, and the monitor of adaptation."""
