"""A multi-tenant isolate runtime: many untrusting programs in one process, each in its own WebAssembly isolate."""
