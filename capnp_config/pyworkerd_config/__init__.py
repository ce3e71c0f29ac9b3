"""One frozen model of a configuration, and the readers that make it from files."""
