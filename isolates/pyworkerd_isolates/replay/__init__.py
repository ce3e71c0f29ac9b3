"""Recorded isolates, and the same again: an isolate is a state machine without I/O, so what went in says what came out.

Exact are two runs of the same image with the same entropy key, the same clock and the same events.
"""
