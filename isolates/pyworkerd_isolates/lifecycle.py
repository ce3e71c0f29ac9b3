"""The life of an isolate, as a table.

Rule 1: an isolate takes new work only in STARTING, IDLE, BUSY and HIBERNATED.
Rule 2: DRAINING finishes what it holds and takes nothing new; there is no way back.
Rule 3: DEAD is final. Whatever happens to a dead isolate is a bug of the caller.
"""

from __future__ import annotations

from enum import Enum

from .errors import ClosedIsolate


class State(Enum):
    """Where an isolate is in its life."""

    COLD = "cold"
    """An image; nothing lives yet."""
    STARTING = "starting"
    """Memory is mapped; the first step has not ended."""
    IDLE = "idle"
    """Alive, without an invocation."""
    BUSY = "busy"
    """Alive, with at least one invocation."""
    HIBERNATED = "hibernated"
    """Alive, with or without an invocation, and its memory put away until the next step."""
    DRAINING = "draining"
    """Finishes what it holds."""
    DEAD = "dead"
    """Its memory is gone."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and looked up for each invocation


class Cause(Enum):
    """What moves it on."""

    START = "start"
    READY = "ready"
    INVOKE = "invoke"
    REST = "rest"
    HIBERNATE = "hibernate"
    WAKE = "wake"
    DRAIN = "drain"
    END = "end"

    __hash__ = object.__hash__


TRANSITIONS: dict[State, dict[Cause, State]] = {
    State.COLD: {Cause.START: State.STARTING, Cause.END: State.DEAD},
    State.STARTING: {
        Cause.READY: State.IDLE,
        Cause.INVOKE: State.BUSY,
        Cause.DRAIN: State.DRAINING,
        Cause.END: State.DEAD,
    },
    State.IDLE: {
        Cause.INVOKE: State.BUSY,
        Cause.HIBERNATE: State.HIBERNATED,
        Cause.DRAIN: State.DRAINING,
        Cause.END: State.DEAD,
    },
    State.BUSY: {
        Cause.INVOKE: State.BUSY,
        Cause.REST: State.IDLE,
        Cause.HIBERNATE: State.HIBERNATED,
        Cause.DRAIN: State.DRAINING,
        Cause.END: State.DEAD,
    },
    State.HIBERNATED: {
        Cause.INVOKE: State.HIBERNATED,
        Cause.WAKE: State.BUSY,
        Cause.DRAIN: State.DRAINING,
        Cause.END: State.DEAD,
    },
    State.DRAINING: {
        Cause.REST: State.DRAINING,
        Cause.WAKE: State.DRAINING,
        Cause.DRAIN: State.DRAINING,
        Cause.END: State.DEAD,
    },
    State.DEAD: {Cause.END: State.DEAD},
}

TAKES_WORK = frozenset((State.STARTING, State.IDLE, State.BUSY, State.HIBERNATED))


def next_state(state: State, cause: Cause) -> State:
    """The state after `cause`; `ClosedIsolate` if that cannot happen here."""
    try:
        return TRANSITIONS[state][cause]
    except KeyError:
        raise ClosedIsolate(f"an isolate that is {state.value} cannot {cause.value}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = [
        f"    {a.value} --> {b.value}: {cause.value}"
        for a, row in TRANSITIONS.items()
        for cause, b in row.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])
