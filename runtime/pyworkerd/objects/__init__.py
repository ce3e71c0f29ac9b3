"""Durable Objects: what is said about them, and who has them. Their isolates are `dispatch.resident`.

ids           what makes an id valid. Pure
storage       pages and alarms on disk
alarms        when each is due, and who rings it
owners        who has which object, so that it is live once: of this process's versions of a worker
locks         the same of processes
peers         calls of what another process has; framing, sockets
"""
