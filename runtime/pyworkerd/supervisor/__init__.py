"""Several processes on the same sockets, and one that watches over them and runs no code of tenants.

Read in this order: `settings`, `policy`, `messages`, `channel`, `serving_process`, `forking`, `child`, `supervisor`,
`reloading`, `run`.

The sockets are bound once, by the supervisor, and inherited by every serving process. All of them accept from one queue
in the kernel, which outlives each of them: a connection that waits there when a process ends, is killed or is replaced
is accepted by another. With SO_REUSEPORT each process would have a queue of its own, and what waits in it would be
reset with the process.
"""
