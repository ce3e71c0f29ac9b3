"""Named things that requests can be sent to: a worker, the network, an external server."""
