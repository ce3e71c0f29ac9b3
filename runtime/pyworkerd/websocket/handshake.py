"""The opening handshake (RFC 6455 section 4), both sides of it. Pure.

The server's reading is strict: a client that says `Upgrade: websocket` and then anything else than the RFC has is
refused before a worker sees the request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import BadEffect, BadRequest, UpgradeRequired, UpstreamError

from .offers import Terms, agree, agreed, offer

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

VERSION: Final = "13"
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_TOKENS: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")
PROTOCOL: Final = "sec-websocket-protocol"
EXTENSIONS: Final = "sec-websocket-extensions"
_OWN: Final = frozenset(("sec-websocket-accept", EXTENSIONS, "sec-websocket-key", "sec-websocket-version"))
"""Fields of the handshake that are this end's business, whatever a worker writes into them."""


class Opening(NamedTuple):
    """A client's handshake, in order."""

    accept: str
    """The answer to its key."""
    protocols: tuple[str, ...]
    """Sub-protocols that it offers, the most wanted first."""
    terms: Terms | None
    """How messages may be compressed; None for not at all."""


class Accepted(NamedTuple):
    """What was agreed on."""

    protocol: str
    """The sub-protocol; empty for none."""
    terms: Terms | None


def read_opening(headers: Headers) -> Opening:
    """A request's handshake (section 4.2.1). The parser has seen to method, version, `Host` and the upgrade itself.

    Raises `BadRequest`, and `UpgradeRequired` for another version of the protocol.
    """
    versions = _all(headers, "sec-websocket-version")
    if versions != [VERSION]:
        if not versions:
            raise BadRequest("Sec-WebSocket-Version is missing")
        raise UpgradeRequired("only version 13 of the WebSocket protocol is spoken here")
    keys = _all(headers, "sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise BadRequest("Sec-WebSocket-Key is not 16 bytes in base64, once")
    protocols = _tokens(_all(headers, PROTOCOL))
    if len(set(protocols)) != len(protocols):
        raise BadRequest("Sec-WebSocket-Protocol repeats a name")
    try:
        terms = agree(_all(headers, EXTENSIONS))
    except ValueError as error:
        raise BadRequest(f"Sec-WebSocket-Extensions is malformed: {error}") from None
    return Opening(accept_of(keys[0]), protocols, terms)


def _all(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key == name]


def _is_key(value: str) -> bool:
    """Whether it is 16 bytes in base64, written in the one way there is."""
    if not _KEY.fullmatch(value):
        return False
    try:
        return base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except binascii.Error:
        return False


def _tokens(values: list[str]) -> tuple[str, ...]:
    if not all(map(_TOKENS.fullmatch, values)):
        raise BadRequest("Sec-WebSocket-Protocol is malformed")
    return tuple(token.strip(" \t") for value in values for token in value.split(","))


def accept_of(key: str) -> str:
    """Section 4.2.2, step 5.4."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()


def accepted(
    opening: Opening, headers: Headers, *, compress: bool = True
) -> tuple[Accepted, Headers, Headers]:
    """What a worker's response with status 101 agrees to, this end's fields of the answer, and the worker's.

    The worker chooses a sub-protocol with `Sec-WebSocket-Protocol`. Raises `BadEffect` for one that was not offered.
    """
    chosen = _all(headers, PROTOCOL)
    if len(chosen) > 1 or (chosen and chosen[0] not in opening.protocols):
        raise BadEffect("the worker chose a WebSocket sub-protocol that the client did not offer")
    own = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", opening.accept)]
    terms = opening.terms if compress else None
    if terms is not None:
        own.append((EXTENSIONS, terms.answer))
    rest = tuple(pair for pair in headers if pair[0] not in _OWN)
    return Accepted(chosen[0] if chosen else "", terms), tuple(own), rest


# the client's side ---------------------------------------------------------------------------------------------------


def request_fields(key: str, headers: Headers) -> Headers:
    """The fields of a request that asks for a WebSocket (section 4.1); of the guest's own, the sub-protocols stay."""
    own = tuple(pair for pair in headers if pair[0] not in _OWN and pair[0] not in ("upgrade", "connection"))
    return (
        ("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", key),
        ("sec-websocket-version", VERSION), (EXTENSIONS, offer()), *own,
    )  # fmt: skip


def read_answer(key: str, sent: Headers, answer: Headers) -> Accepted:
    """What a server's answer with status 101 agrees to (section 4.1). Raises `UpstreamError` if it is not one."""
    upgrades = [token.strip().lower() for value in _all(answer, "connection") for token in value.split(",")]
    if [value.lower() for value in _all(answer, "upgrade")] != ["websocket"] or "upgrade" not in upgrades:
        raise UpstreamError("the server switched to something else than a WebSocket")
    if _all(answer, "sec-websocket-accept") != [accept_of(key)]:
        raise UpstreamError("the server's WebSocket handshake is not an answer to this one")
    offered = [token.strip(" \t") for value in _all(sent, PROTOCOL) for token in value.split(",")]
    chosen = _all(answer, PROTOCOL)
    if len(chosen) > 1 or (chosen and chosen[0] not in offered):
        raise UpstreamError("the server chose a WebSocket sub-protocol that was not offered")
    try:
        terms = agreed(_all(answer, EXTENSIONS))
    except ValueError as error:
        raise UpstreamError(f"the server's WebSocket extensions cannot be used: {error}") from None
    return Accepted(chosen[0] if chosen else "", terms)
