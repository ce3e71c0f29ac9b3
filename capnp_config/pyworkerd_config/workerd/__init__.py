"""workerd's Cap'n Proto: its text, its schema, its reader and writer."""
