"""Wrangler's files: their reader and writer, and what they have that means nothing here."""
