"""Embedded stores: SQLite, once for all bindings. See ARCHITECTURE.md, Stores.

layout        which file is whose
connection    how a file is opened, and what its errors mean
schema        versions of our own tables
database      one file: one writer at a time, readers beside it, bounded queues
bodies        bytes between a message and files, in bounded pieces
lane          other work on the disk, such as files
threads       the few threads that all of it runs on, in turns
priority      threads that compute for long give way
watch         what ends a statement that runs for too long
stores        the databases of one process, each open as long as somebody needs it
"""
