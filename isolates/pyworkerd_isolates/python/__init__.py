"""Python: CPython 3.14 for WASI as an engine, and the guest half that makes Workers of it."""
