"""Every case of the corpus against the real server, over a socket: what the handler gets, and each octet that is
answered until the connection ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pyworkerd.messages import Body, Request, Response

from tests.conformance.corpus import DEFAULT_AUTHORITY, SMALL, Case, Seen, load
from tests.runtime.server.client import Client, Site, run, site

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = load()
TOPICS = sorted({case.id.split(":")[0] for case in CASES})
LAST = b"GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
CODES = {
    400: "bad_request", 413: "body_too_large", 414: "uri_too_long", 431: "headers_too_large",
    501: "not_implemented", 505: "http_version",
}  # fmt: skip
HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [A-Za-z -]+\r\n((?:[a-z-]+: [\x20-\x7e]+\r\n)+)\r\n")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answer(NamedTuple):
    status: int
    code: str | None
    closes: bool


def answers(data: bytes, methods: Sequence[str]) -> list[Answer]:
    """Take responses apart, strictly: RFC 9112 section 4 to 6, and nothing may be left over."""
    found = []
    for method in methods:
        match = HEAD.match(data)
        assert match is not None, data
        lines = match[2].decode().split("\r\n")[:-1]
        fields = dict(line.split(": ", 1) for line in lines)
        assert len(fields) == len(lines), "a field is repeated"
        assert {"date", "server", "content-length"} <= fields.keys()
        assert "transfer-encoding" not in fields
        length = 0 if method == "HEAD" else int(fields["content-length"])
        assert len(data) >= match.end() + length
        data = data[match.end() + length :]
        found.append(
            Answer(int(match[1]), fields.get("x-pyworkerd-error"), fields.get("connection") == "close")
        )
    assert data == b""
    return found


async def exchange(place: Site, case: Case) -> list[Answer]:
    """Send a case, and what may follow it; everything that comes back."""
    client = await place.connect()
    client.send(case.sent)
    if case.interim:
        assert await client.reader.readexactly(len(CONTINUE)) == CONTINUE
        client.send(case.then)
    methods = [seen.method for seen in case.sees]
    if case.incomplete:
        before = [await _ordinary(client, method) for method in methods]
        client.writer.write_eof()
        assert await client.rest() == b""
        return before
    if case.goes_on:
        client.send(LAST)
    found = answers(await client.reader.read(), methods if case.closes else [*methods, "GET"])
    await client.aclose()
    return found


async def _ordinary(client: Client, method: str) -> Answer:
    status, headers, _ = await client.response(method)
    return Answer(status, None, headers.get("connection") == "close")


def expected(case: Case) -> list[Answer]:
    found = [Answer(200, None, False)] * len(case.sees)
    if case.closes:
        found[-1] = Answer(200, None, True)
    if case.statuses:
        found.append(Answer(case.statuses[0], CODES[case.statuses[0]], True))
    if case.goes_on:
        found.append(Answer(200, None, True))
    return found


@pytest.mark.parametrize("parser", ["httptools", "h11"])
@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic(topic: str, parser: str) -> None:
    seen: list[Seen] = []

    async def handler(request: Request) -> Response:
        body = await request.body.read()
        seen.append(Seen(request.method, request.url, body))
        return Response(200, (), Body(b"done"))

    async def main() -> None:
        wrong: list[str] = []
        async with site(handler, parser=parser, limits=SMALL) as place:
            for case in CASES:
                if not case.id.startswith(f"{topic}:"):
                    continue
                seen.clear()
                came = await exchange(place, case)
                wanted = expected(case)
                if len(case.statuses) > 1 and came and came[-1].status in case.statuses:
                    wanted[-1] = Answer(came[-1].status, CODES[came[-1].status], True)
                sees = [
                    Seen(
                        one.method,
                        one.url.replace(f"//{DEFAULT_AUTHORITY}/", f"//{place.address}/"),
                        one.body,
                    )
                    for one in case.sees
                ] + [Seen("GET", "http://last/last")] * case.goes_on
                if (came, seen) != (wanted, sees):
                    wrong.append(
                        f"{case.id}\n  answered {came}\n  not      {wanted}\n  saw {seen}\n  not {sees}"
                    )
            figures = place.server.statistics()
            assert (figures.active_now, figures.handler_errors) == (0, 0)
        assert not wrong, "\n".join(wrong)

    run(main)
