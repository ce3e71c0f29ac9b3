"""Every case of the corpus by both parsers, without I/O: one outcome, however the octets are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from pyworkerd.errors import ClientError
from pyworkerd.http import PARSERS, BodyData, EndOfRequest, Event, Parser, RequestHead, parser_class
from pyworkerd.http.semantics import request_url

from tests.conformance.corpus import DEFAULT_AUTHORITY, SMALL, Case, Seen, load

CASES = load()
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
PROBED = Seen("GET", "http://probe/probe")
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


@dataclass
class Outcome:
    heads: list[RequestHead] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    complete: int = 0
    status: int | None = None

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The requests that are complete."""
        requests = zip(self.heads, self.bodies, strict=True)
        return tuple(
            Seen(head.method, request_url(head, DEFAULT_AUTHORITY), body) for head, body in requests
        )[: self.complete]

    def take(self, events: list[Event]) -> bool:
        """Note events; whether the request is complete now."""
        for event in events:
            if isinstance(event, RequestHead):
                self.heads.append(event)
                self.bodies.append(b"")
            elif isinstance(event, BodyData):
                self.bodies[-1] += event.data
        ended = bool(events) and isinstance(events[-1], EndOfRequest)
        self.complete += ended
        return ended


def parse(parser: Parser, pieces: list[bytes]) -> Outcome:
    outcome = Outcome()
    try:
        for piece in pieces:
            ended = outcome.take(parser.receive(piece))
            while ended:
                ended = outcome.take(parser.next_request())
        if parser.error is not None:
            outcome.status = parser.error.status
    except ClientError as error:
        outcome.status = error.status
    return outcome


def agreed(data: bytes) -> Outcome:
    """What both parsers make of it, at once, octet by octet, and cut in two anywhere near its lines' ends."""
    cuts = [[data], [data[at : at + 1] for at in range(len(data))]]
    cuts += [[data[:at], data[at:]] for at, octet in enumerate(data) if octet in b"\r\n\0:; "][:80]
    first: Outcome | None = None
    for name in PARSERS:
        for pieces in cuts:
            outcome = parse(parser_class(name)(SMALL), pieces)
            first = first or outcome
            assert outcome == first, (name, pieces)
    assert first is not None
    return first


@EVERY
def test_both_parsers_come_to_the_outcome(case: Case) -> None:
    outcome = agreed(case.whole)
    assert outcome.seen == case.sees
    if case.statuses:
        assert outcome.status in case.statuses
    else:
        assert outcome.status is None
    if case.headers is not None:
        assert outcome.heads[0].headers == case.headers
    if case.closes:
        assert not outcome.heads[-1].keep_alive


@EVERY
def test_what_follows_is_a_request_of_its_own_or_none(case: Case) -> None:
    if case.incomplete:
        return  # what follows belongs to it
    outcome = agreed(case.whole + PROBE)
    assert outcome.seen == (*case.sees, PROBED) if case.goes_on else outcome.seen == case.sees


@EVERY
def test_what_came_before_changes_nothing(case: Case) -> None:
    outcome = agreed(PROBE + case.whole)
    assert outcome.seen == (PROBED, *case.sees)
    assert (outcome.status is not None) == bool(case.statuses)


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(CASES) > 900
    assert len({case.id for case in CASES}) == len(CASES)
    assert {"CL.TE", "TE.CL", "TE.TE", "CL.0", "0.CL", "TE.0", "CL.CL"} <= {case.attack for case in CASES}
