"""JavaScript: QuickJS as an engine, and what its guests find inside."""
