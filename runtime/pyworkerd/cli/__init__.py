"""The command line. One module per command, in the table of `main`; only the one that was asked for is imported.

Exit status: 0 done, 1 failed, 2 a mistake in the configuration or on the command line, 128 + n ended by signal n.
"""
