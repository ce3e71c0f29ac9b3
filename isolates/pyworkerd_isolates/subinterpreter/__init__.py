"""Isolates of trusted Python workers: a subinterpreter each, with native packages, files and sockets.

They are no security boundary. What runs in one can do whatever the process can; nothing here stops it, and no limit
holds for it. They are stepped like those of the sandbox, and their workers are written like others.
"""
