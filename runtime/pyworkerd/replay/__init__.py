"""Recording chosen invocations of a server: which, with what hidden, and where to. See `pyworkerd_isolates.replay`."""
