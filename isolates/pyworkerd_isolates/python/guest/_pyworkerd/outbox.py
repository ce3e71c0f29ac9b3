"""What a step gives out: effects in the order in which they were asked for, and the bytes that belong to them.

An effect is a list, or the JSON of one: those that most steps give out are written where they are made, since to put a
number into a text takes a fifth of what encoding a list takes. Three are tuples, since a step that gives out nothing
else is written in fewer bytes yet (`frames`): a call, of (number, invocation, address, arguments); and what leaves
nothing behind, what a method gave back, of (invocation, value), or a handler, of (invocation, head, body).

The bounds here keep an honest worker honest; the host has its own and trusts none of these.
"""

import json.encoder

import _wire

from . import frames

effects = []
blobs = []
abandoned = 0
"""Calls that were abandoned in this step."""
_written = 0
streamed = 0
"""Bytes of pieces of bodies in this step."""

_MARK = bytes(byte ^ 0x55 for byte in b"last words of it")
_ROOM = 32_768
_HEAD = len(_MARK) + 4
_box = bytearray(_MARK) + bytearray(4 + _ROOM)
"""Where the host finds what was logged in a step that never ends (its `last_words`): a mark, a length, effects."""
_boxed = 0
"""Bytes of them."""

MAX_STREAMED = 4 << 20
"""Of those in one step; other bodies wait for the next. Half of what the host takes."""
MAX_TEXT = 524_288
"""Bytes of text for people (logs, tracebacks) in one step: half of what the host reads as the structured part."""
_escaped = json.encoder.encode_basestring_ascii
written = _wire.written


def afford(text, extra=64):
    """Whether this text still fits into this step, and if so, count it. It is counted as it will be written."""
    global _written
    cost = len(_escaped(text)) + extra
    if _written + cost > MAX_TEXT:
        return 0
    _written += cost
    return cost


def log(effect):
    """Put out a log entry, and where it is found if this step does not end. It begins anew where that is full."""
    global _boxed
    text = written(effect)
    effects.append(text)
    data = text.encode("ascii")
    at = _boxed + 1 if _boxed and _boxed + len(data) < _ROOM else 0
    end = at + len(data)
    if end > _ROOM:
        return
    if at:
        _box[_HEAD + at - 1] = 0x2C  # a comma
    _box[_HEAD + at : _HEAD + end] = data
    _box[_HEAD - 4 : _HEAD] = end.to_bytes(4, "little")
    _boxed = end


def _empty():
    """What was logged goes out."""
    global _boxed
    _boxed = 0
    _box[_HEAD - 4 : _HEAD] = b"\0\0\0\0"


def blob(data):
    """Put bytes beside the effects. Returns the number that an effect names them by."""
    blobs.append(data)
    return len(blobs) - 1


def abandon(call):
    """Nobody waits for this call any more."""
    global abandoned
    abandoned += 1
    effects.append(["abandon", call])


def put_alone(effect):
    """One that ends the object: of the others only what was logged goes out. They tell of what is not kept."""
    effects[:] = [each for each in effects if type(each) is str and each.startswith('["log",')]
    blobs.clear()
    effects.append(effect)


def take(wake):
    """All of it as one frame, with the time at which the loop wants to be run again. Empties the outbox. A step asks
    `frames.short` first."""
    global _written, abandoned, streamed
    try:
        texts = ",".join(effects)
    except TypeError:  # many steps have nothing else
        texts = ",".join([each if type(each) is str else _spelled(each) for each in effects])
    frame = frames.encode("null" if wake is None else written(wake), texts, blobs)
    effects.clear()
    blobs.clear()
    if _boxed:
        _empty()
    _written = abandoned = streamed = 0
    return frame


def _spelled(effect):
    if type(effect) is list:
        return written(effect)
    if len(effect) == 4:
        call, invocation, address, arguments = effect
        return f'["call",{call},{invocation},{str(address, "ascii")},{blob(arguments)}]'
    if len(effect) == 3:
        invocation, head, body = effect
        return f'["replied",{invocation},{str(head, "ascii")},["b",{blob(body)}]]'
    invocation, value = effect
    return f'["result",{invocation},{blob(value)}]'


def clear():
    """Forget all of it."""
    global _written, abandoned, streamed
    effects.clear()
    blobs.clear()
    if _boxed:
        _empty()
    _written = abandoned = streamed = 0
