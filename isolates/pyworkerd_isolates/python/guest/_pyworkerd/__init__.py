"""The guest's own machinery. It runs inside the sandbox; nothing in it is trusted by the host."""
