"""Queues: messages that wait on disk for a worker's `queue` handler, and come again until it has acknowledged them."""
