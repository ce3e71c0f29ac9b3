"""What a step gives out: effects in the order in which they were asked for, and the bytes that belong to them.

The bounds here keep an honest worker honest; the host has its own and trusts none of these.
"""

import _wire

effects = []
blobs = []


def blob(data):
    """Put bytes beside the effects. Returns the number that an effect names them by."""
    blobs.append(data)
    return len(blobs) - 1


def take(wake):
    """All of it as one frame, with the time at which the loop wants to be run again. Empties the outbox."""
    frame = _wire.encode([wake, effects], blobs)
    effects.clear()
    blobs.clear()
    return frame
