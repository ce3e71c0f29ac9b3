"""What is done on whose behalf: each request has an id and a trace, and they follow it through the house.

A `Scope` is made where a request comes in (`begin`), and for each call that one service makes to another (`call`). It
travels in the context, like the depth of services that call each other, so that whoever performs something knows for
which request. Nothing in it comes from a guest; of the client only the trace, which was checked.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from .ids import new_ids, new_span_id
from .spans import told
from .trace import PARENT, RANDOM, SAMPLED, STATE, Parent, format_parent, parse_parent, parse_state

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

_OF_TRACES: Final = frozenset((PARENT, STATE))


class Scope:
    """One span: a request, or a call on behalf of one. `cold`, `calls` and `service` are notes about the request.

    What most spans leave as it is stands on the class: each request makes one.
    """

    received = False
    """Whether it came in over HTTP, so that a server tells of it when it is over."""
    service = ""
    """The service that it was sent to."""
    caller = ""
    """The worker that calls; none for a request that came in."""
    cold = False
    """Whether an isolate was started for it, by whichever service."""
    calls = 0
    """Calls that were made within the process for the request, by whichever worker: kept at its root."""
    renewals = 0
    """How often budgets of the request were renewed, because of a WebSocket that leads outside: kept at its root."""
    known = 0
    """Of these, those that the process knows of which a request came from: kept at its root."""
    origin = ""
    """The id of the request in the process that it came to first, where that is another one: kept at its root."""
    tail = False
    """Whether it is a `tail` handler's, of which nobody is told: kept at its root."""
    sends = True
    """Whether a request of it carries its ids: not where its sender wrote others."""
    _root: Scope | None = None
    _outer: Scope | None = None

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        flags: int,
        state: str,
        parent_id: str = "",
    ) -> None:
        self.trace_id = trace_id
        self.span_id = self.request_id = span_id
        """`request_id` is that of the request that came in, and goes to its client."""
        self.flags = flags
        self.state = state
        if parent_id:
            self.parent_id = parent_id

    @cached_property
    def span_id(self) -> str:
        """16 hexadecimal digits. That of a call is made when somebody asks for it."""
        return new_span_id()

    @cached_property
    def parent_id(self) -> str:
        """The span that this one is a part of; empty if it is the first of its trace."""
        return "" if self._outer is None else self._outer.span_id

    @property
    def root(self) -> Scope:
        """The request that came in."""
        return self._root or self

    def joins(self, root: Scope) -> None:
        """It counts as part of the same request as another one."""
        self._root = root

    @property
    def headers(self) -> Headers:
        """What a request of this span carries, besides its own headers."""
        if not self.sends:
            return ()
        parent = (
            PARENT,
            f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}",
        )  # `format_parent`, for each request
        return (parent, (STATE, self.state)) if self.state else (parent,)

    def inner(self, caller: str = "") -> Scope:
        """A call on its behalf, by this worker, which carries no headers."""
        return _Inner(self, caller)

    def call(self, headers: Headers = (), caller: str = "") -> tuple[Scope, Headers]:
        """A call on its behalf, by this worker: its span, and what is left of the headers that its sender wrote.

        A sender that wrote a `traceparent` of its own keeps it. One that only hands on what it was given does not.
        """
        span = _Inner(self, caller)
        if not headers:
            return span, headers
        given = [value for name, value in headers if name == PARENT]
        if given and given != [format_parent(self.trace_id, self.span_id, self.flags)]:
            span.sends = False
            return span, headers
        return span, _without(headers)


class _Inner(Scope):
    """A call on behalf of a request."""

    def __init__(self, outer: Scope, caller: str) -> None:
        self._outer, self._root = outer, outer.root
        self.trace_id, self.flags, self.state = outer.trace_id, outer.flags, outer.state
        self.request_id = outer.request_id
        self.caller = caller


class Given(NamedTuple):
    """The trace that a request continues."""

    parent: Parent
    state: str


def begin(headers: Headers = ()) -> tuple[Scope, Headers]:
    """A request that comes in: its scope, and its headers without those of the trace."""
    given, left = read(headers)
    return start(given), left


def read(headers: Headers) -> tuple[Given | None, Headers]:
    """The trace that a request with these headers continues, that of a well-formed `traceparent`; and the others."""
    if _OF_TRACES.isdisjoint(dict(headers)):
        return None, headers
    parents = [value for name, value in headers if name == PARENT]
    parent = parse_parent(parents[0]) if len(parents) == 1 else None
    states = [value for name, value in headers if name == STATE]
    return None if parent is None else Given(parent, parse_state(states)), _without(headers)


def start(given: Given | None = None) -> Scope:
    """The scope of a request that comes in. It continues a trace, or is the first of a new one, with an id that is
    random. It is marked as sampled if somebody is told of its spans (`spans`), and wants to be told of these.
    """
    if given is None:
        trace_id, span_id = new_ids()
        flags = RANDOM if told.decide is None else _decided(RANDOM, told.decide(trace_id, None))
        return Scope(trace_id, span_id, flags, "")
    (trace_id, span_id, flags), state = given
    if told.decide is not None:
        flags = _decided(flags, told.decide(trace_id, (span_id, flags)))
    return Scope(trace_id, new_span_id(), flags, state, span_id)


def _decided(flags: int, sampled: bool) -> int:
    return flags | SAMPLED if sampled else flags & ~SAMPLED


def _without(headers: Headers) -> Headers:
    left = [pair for pair in headers if pair[0] not in _OF_TRACES]
    return headers if len(left) == len(headers) else tuple(left)


scope: Final[ContextVar[Scope | None]] = ContextVar("pyworkerd_scope", default=None)
"""Of the request, or the call, on whose behalf the running code works; None outside of one."""
