"""What is fuzzed. A target takes bytes and raises AssertionError, or anything at all, where a promise is not kept.

One row of `TARGETS` adds a target: the function, inputs to begin with, and words that its inputs are made of.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import StringIO
from ipaddress import ip_address
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import h11
from pyworkerd.admin.entries import Numbered
from pyworkerd.caches.answers import answer
from pyworkerd.caches.rules import DROPPED, FOREVER_S, keep
from pyworkerd.cli.tail_lines import NotAStream, Pretty, as_json, events
from pyworkerd.http import PARSERS, BodyData, RequestHead, parser_class
from pyworkerd.http.forwarded import told
from pyworkerd.http.http2 import ConnectionBroken, Http2, Refused, StreamOver
from pyworkerd.http.http2_frames import PREFACE
from pyworkerd.http.proxy_protocol import ProxyHeaderError, read_header
from pyworkerd.http.semantics import HEAD, is_authority
from pyworkerd.observe.feed import Answer, FeedError, read_answer
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import Outcome as Happened
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import OutputTooLarge, ProtocolError
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import MAX_URL, Fetch, Respond, decode_effects

from tests.conformance.corpus import SMALL, load
from tests.conformance.test_http import Outcome, parse
from tests.fuzz.connection import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.http.http2 import Happening
    from pyworkerd_isolates.wire import Bytes

LIMITS: Final = Limits()


# The parsers


def parsers(data: bytes) -> None:
    """Both parsers come to one outcome, however the octets are cut, keep their bounds, and frame as h11 does alone.

    input = number of cuts, where they are (in 256ths), octets
    """
    number = data[0] % 8 if data else 0
    cuts, stream = data[1 : number + 1], data[number + 1 :]
    edges = sorted({0, len(stream), *(len(stream) * cut // 256 for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    whole = parse(parser_class("httptools")(SMALL), [stream])
    for name in PARSERS:
        parser = parser_class(name)(SMALL)
        assert parse(parser, pieces) == whole, (name, pieces)
        assert parser.buffered <= max(SMALL.head + 1, len(pieces[-1]) if pieces else 0)
    _h11_agrees(stream, whole)


def _h11_agrees(stream: bytes, ours: Outcome) -> None:
    if ours.status is not None or ours.complete < len(ours.heads):
        return
    theirs = _by_h11(stream.removeprefix(b"\r\n"))
    if theirs is None:
        return
    assert [(head.method, body) for head, body in zip(ours.heads, ours.bodies, strict=True)][
        : len(theirs)
    ] == theirs


def _by_h11(stream: bytes) -> list[tuple[str, bytes]] | None:
    """Method and body of each request as h11 frames them without our help; None if it refuses or waits for more."""
    found: list[tuple[str, bytes]] = []
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(stream)
    try:
        while isinstance(request := reader.next_event(), h11.Request):
            body = b""
            while isinstance(event := reader.next_event(), h11.Data):
                body += bytes(event.data)
            if not isinstance(event, h11.EndOfMessage):
                return None
            found.append((request.method.decode(), body))
            reader.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            reader.send(h11.EndOfMessage())
            if reader.their_state is not h11.DONE:
                return found
            reader.start_next_cycle()
    except h11.RemoteProtocolError:
        return None
    return found


# The edge


def http2(data: bytes) -> None:
    """Whatever frames come, there are events or GOAWAY; what could be answered is; requests fit HTTP/1.1.

    input = size of the pieces, octets
    """
    size, stream = (data[0] % 64 or 1 if data else 1), PREFACE + data[1:]
    server = Http2(SMALL, 10, 65_536, 0.0)
    try:
        for start in range(0, len(stream), size):
            server.feed(stream[start : start + size])
            while (found := server.happenings(0.0)) is not None:
                for number, happening in found:
                    _answer(server, number, happening)
            server.output()
    except ConnectionBroken:
        assert server.output()
    server.go_away()
    server.output()


def _answer(server: Http2, number: int, happening: Happening) -> None:
    if isinstance(happening, BodyData):
        server.consumed(number, len(happening.data))
    if isinstance(happening, RequestHead):
        lines = "".join(f"{name}: {value}\r\n" for name, value in happening.headers)
        line = f"{happening.method} {happening.target} HTTP/1.1\r\n"
        assert HEAD.fullmatch((line + lines + "\r\n").encode("latin-1"))
    if isinstance(happening, RequestHead | Refused):
        with suppress(StreamOver):
            server.send_head(number, [(":status", "200")], end=False)
            server.send_data(number, b"x" * min(server.room(number), 3), end=True)


def edge(data: bytes) -> None:
    """A PROXY header asks for no byte that is not its own; `Forwarded` and its like name an address or nobody."""
    taken = 0
    with suppress(ProxyHeaderError):
        while isinstance(wanted := read_header(data[:taken]), int) and taken < len(data):
            assert wanted > 0
            taken = min(taken + wanted, len(data))
    text = data.decode("latin-1")
    for names in ({"forwarded"}, {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}):
        headers = tuple((name, each) for name in sorted(names) for each in text.split("\n"))
        found = told(headers, frozenset(names), "192.0.2.1", lambda address: address.startswith("10."))
        assert found.client is None or ip_address(found.client)
        assert found.scheme in (None, "http", "https")
        assert found.host is None or is_authority(found.host)


# What comes out of a step


def _framed(data: bytes) -> bytes:
    """A frame around a message that is JSON, or not, and blobs: the framing itself is right."""
    message, _, rest = data.partition(b"\0")
    blobs = rest.split(b"\0")
    header = b"[[%b],%b]" % (b",".join(b"%d" % len(blob) for blob in blobs), message)
    return len(header).to_bytes(4, "little") + header + b"".join(blobs)


def effects(data: bytes) -> None:
    """Whatever a guest gives out is refused by name, or is what the types say and fit to be sent."""
    for frame in (data, _framed(data), _framed(b"[null,[" + data + b"]]")):
        try:
            output = decode_effects(frame, LIMITS)
        except (ProtocolError, OutputTooLarge):
            continue
        assert len(output.effects) <= LIMITS.effects
        for effect in output.effects:
            if isinstance(effect, (Respond, Fetch)):
                _fit_to_send(effect.headers)
            if isinstance(effect, Fetch):
                assert len(effect.url) <= MAX_URL
                assert effect.url.isprintable()
                assert effect.url.isascii()


def _fit_to_send(headers: tuple[tuple[str, str], ...]) -> None:
    for name, value in headers:
        assert name == name.lower()
        assert name.isascii()
        assert not set(name) & set(" \t\r\n\0:")
        assert not set(value) & set("\r\n\0")
        value.encode("latin-1")


# The codec


def codec(data: bytes) -> None:
    """Frames and values: refused with a `WireError` and nothing else, or written again as they were meant."""
    for frame in (data, _framed(data)):
        try:
            message, blobs = wire.decode(frame)
        except wire.WireError:
            pass
        else:
            _written_again(message, blobs)
        try:
            value = wire.load_value(frame)
        except wire.WireError:
            continue
        # A set has no order, an exception no equality: what is written a second time tells.
        written = wire.dump_value(value)
        assert sorted(wire.dump_value(wire.load_value(written))) == sorted(written)


def _written_again(message: object, blobs: Sequence[Bytes]) -> None:
    try:
        text = json.dumps(message, allow_nan=False)
    except ValueError:
        return  # 1e400 is read as infinity, which JSON cannot say
    again, same = wire.decode(wire.encode(message, blobs))
    assert json.dumps(again) == text
    assert list(map(bytes, same)) == list(map(bytes, blobs))


# The table


@dataclass(frozen=True)
class Target:
    """A row."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...]


_HTTP: Final = (
    b"GET ", b"POST ", b"HEAD ", b"OPTIONS * ", b"CONNECT ", b"/", b"http://a/", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n",
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b"Host: a\r\n", b"Content-Length: ", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b";a=b", b"ffffffff",
    b"/w", b"/b", b"/l", b"/e", b"/s", b"/t", b"/k", b"/r", b"/o", b"/p", b"/u",
)  # fmt: skip
_JSON: Final = (
    b"null", b"true", b"false", b"-1", b"9007199254740992", b"1e400", b'"\\ud800"', b"[", b"]", b"{", b"}", b",", b":",
    b'"$"', b'{"$":["i","1"]}', b'{"$":["b",0]}', b'{"$":["m",[]]}', b'{"$":["s",[]]}', b'{"$":["d",0]}',
    b'["respond",1,200,[["a","b"]],["b",0]]', b'["data",1,0,true]', b'["log",1,"info","print","x"]', b'["done",1]',
    b'["fetch",1,1,0,"GET","http://a/",[],null,"follow"]', b'["call",1,1,0,"get",0]', b'["s",1,null]', b'["p",1]',
)  # fmt: skip


@cache
def _streams() -> list[bytes]:
    return [case.whole for case in load()]


def _with_cuts() -> list[bytes]:
    return [b"\x02\x40\xc0" + stream for stream in _streams()]


def _with_commands() -> list[bytes]:
    letters = "wblestkropu"
    return [
        bytes([4 + 64 * (index % 2), 0x30, 0x03, 0x06, 0x0B])
        + stream.replace(b" / ", b" /%c " % letters[index % len(letters)].encode(), 1)
        for index, stream in enumerate(_streams())
    ]


def _frames() -> list[bytes]:
    return [word + b"\0blob\0" for word in _JSON if word.startswith((b"[", b"{")) and len(word) > 1]


def _http2_streams() -> list[bytes]:
    fields = bytes.fromhex("828744847f")  # GET, https, /, and the authority `a` in the table
    head = b"\x82\x87\x84\x41\x01a"
    frames = [
        b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x09",
        len(head).to_bytes(3, "big") + b"\1\5\0\0\0\1" + head,
        len(head).to_bytes(3, "big") + b"\1\4\0\0\0\3" + head,
        b"\0\0\2\0\1\0\0\0\3hi",
        b"\0\0\x08\6\0\0\0\0\x0012345678",
        b"\0\0\4\3\0\0\0\0\3\0\0\0\x08",
        b"\0\0\4\x08\0\0\0\0\0\0\0\1\0",
        len(fields).to_bytes(3, "big") + b"\1\0\0\0\0\5" + fields,
    ]
    return [b"\x20" + b"".join(frames[:end]) for end in range(1, len(frames) + 1)]


def _edges() -> list[bytes]:
    return [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\nGET",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
        b'for=192.0.2.7;proto=https;host="a", for="[2001:db8::1]:1"',
        b"192.0.2.7, 10.0.0.1\nunknown, _x",
    ]


# What caches keep


def caches(data: bytes) -> None:
    """Whatever headers say, they are read; what is private is never kept, and no answer goes beyond what there is.

    input = lines "name:value" of the response, a NUL, lines of the request that asks for it
    """
    said, _, asked = data.decode("latin-1").partition("\0")
    response, request = _fields(said), _fields(asked)
    kept = keep(request, 200, response, CACHED_AT)
    if kept is None:
        return
    directives = ",".join(value for name, value in response if name == "cache-control").lower()
    assert '"' in directives or not {"no-store", "private", "no-cache"} & set(
        directives.replace(" ", "").split(",")
    )
    assert not DROPPED & dict(kept.headers).keys()
    assert "set-cookie" not in dict(kept.headers)
    assert CACHED_AT < kept.expires <= CACHED_AT + FOREVER_S
    assert kept.is_for(request)
    found = answer(request, kept.sized(1000), CACHED_AT + 1)
    assert found.status in (200, 206, 304, 416)
    if found.span is not None:
        assert 0 <= found.span.offset <= found.span.offset + found.span.length <= 1000


CACHED_AT: Final = 1_800_000_000.0


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    lines = (line.partition(":") for line in text.split("\n"))
    return tuple((name.strip().lower(), value.strip()) for name, colon, value in lines if colon)


_CACHED: Final = (
    b'cache-control:max-age=60, private="x"\nvary:a\netag:"1"\0range:bytes=1-2\na:b',
    b"expires:Thu, 01 Jan 2037 00:00:00 GMT\nage:5\0if-none-match:*",
    b"cache-control:s-maxage=9\nset-cookie:a\nlast-modified:x\0if-modified-since:y",
)


# What a serving process says of its workers


def feed(data: bytes) -> None:
    """Whatever a process answers is refused, or becomes lines that no stream and no terminal takes for more."""
    try:
        answer = read_answer(data)
    except FeedError:
        return
    assert read_answer(answer.pack()) == answer
    for number, entry in answer.entries:
        line = Numbered(1, number, entry).to_json()
        (event,) = events([b"event: entry\n", f"data: {line}\n".encode("ascii"), b"\n"])
        assert json.loads(as_json(event))["worker"] == entry.worker
        try:
            first, *more = Pretty(StringIO(), colour=False)(event).splitlines()
        except NotAStream:
            continue  # a time that no clock shows
        assert first.isprintable()
        assert all(each.isprintable() and each.startswith("    ") for each in more)


def _answers() -> list[bytes]:
    log = LogEntry(1.5, "shop", 1, "info", "stdout", "a\n\x1b[31m\u202e", "r" * 16, "t" * 32)
    ended = Answer(
        3, 4, {"shop": 5}, [(1, log), (2, Happened(1.5, "w", 1, "", "GET /", "ok", 200, 0.5, 1.5, "r", "t"))]
    )
    return [ended.pack(), Answer(0, 0, {}, []).pack()]


TARGETS: Final[dict[str, Target]] = {
    "parsers": Target(parsers, _with_cuts, _HTTP),
    "connection": Target(connection, _with_commands, _HTTP),
    "http2": Target(
        http2, _http2_streams, (b"\x82\x87\x84\x41\x01a", b"\0\0\0", b"\1\5\0\0\0\1", b"\0\0\0\0")
    ),
    "edge": Target(
        edge,
        _edges,
        (b"PROXY ", b"TCP4 ", b"\r\n", b"for=", b"proto=", b'"', b"192.0.2.1", b",", b";", b"\n"),
    ),
    "effects": Target(effects, _frames, _JSON),
    "codec": Target(codec, _frames, _JSON),
    "caches": Target(
        caches,
        lambda: _CACHED,
        (b"max-age=", b"no-cache", b"private", b"vary:", b"range:", b"bytes=", b"if-range:"),
    ),
    "feed": Target(
        feed, _answers, (b"\x94", b"\x99", b"\x9c", b"\xcb", b"\xa4shop", b"\xed\xa0\x80", b"\x1b[2J")
    ),
}
