"""What tests/docs_commands_test.py needs: it runs every command that the pages show."""
