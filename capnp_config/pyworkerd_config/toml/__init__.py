"""`config.toml`: its reader and writer, and lines of TOML documents."""
