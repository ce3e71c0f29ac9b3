"""Negotiating permessage-deflate (RFC 7692 section 7.1): which offer is taken, and on what terms. Pure.

Terms are the server's: neither side keeps its window between messages, and what is sent needs a window of 4 KiB.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NAME: Final = "permessage-deflate"
BITS: Final = 12
"""Base-2 logarithm of the window, at most (the `websockets` library: 12)."""
MAX_OFFERS: Final = 16
"""Extensions in one handshake. Clients make one or two offers."""
_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_PARAMETER: Final = rf"[ \t]*+;[ \t]*+{_WORD}(?:[ \t]*+=[ \t]*+(?:{_WORD}|\"{_WORD}\"))?"
_EXTENSION: Final = re.compile(rf"[ \t]*+({_WORD})((?:{_PARAMETER})*)[ \t]*+(?:,|$)")
_WINDOW: Final = re.compile(r"[89]|1[0-5]")

_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")


class Terms(NamedTuple):
    """What was agreed on: windows as base-2 logarithms."""

    send_bits: int
    receive_bits: int
    answer: str
    """The server's field; empty on a client."""


def read(values: list[str]) -> list[tuple[str, dict[str, str | None]]]:
    """Extensions with their parameters, in order. Raises ValueError for what does not follow RFC 6455 section 9.1."""
    found: list[tuple[str, dict[str, str | None]]] = []
    for value in values:
        position = 0
        while position < len(value) or not value:
            match = _EXTENSION.match(value, position)
            if match is None:
                raise ValueError("it is not a list of extensions")
            position = match.end()
            found.append((match[1], _parameters(match[2])))
            if len(found) > MAX_OFFERS:
                raise ValueError(f"more than {MAX_OFFERS} extensions")
        if value.rstrip(" \t").endswith(","):
            raise ValueError("it is not a list of extensions")
    return found


def _parameters(text: str) -> dict[str, str | None]:
    parameters: dict[str, str | None] = {}
    for part in text.split(";")[1:]:
        name, equals, value = part.strip(" \t").partition("=")
        name = name.rstrip(" \t")
        if name in parameters:
            raise ValueError(f"the parameter {name[:40]} is repeated")
        parameters[name] = value.strip(' \t"') if equals else None
    return parameters


def agree(values: list[str]) -> Terms | None:
    """A server's answer to a client's offers: the first that can be taken. Raises ValueError for a malformed field."""
    for name, parameters in read(values):
        if name == NAME and _known(parameters):
            # A window of 2^8 is one that zlib cannot keep to when it compresses.
            server = _bits(parameters, "server_max_window_bits")
            if server is None or server == 8:
                continue
            server = min(server, BITS)
            answer = f"{NAME}; {'; '.join(_FLAGS)}; server_max_window_bits={server}"
            if "client_max_window_bits" not in parameters:
                return Terms(server, 15, answer)
            client = _bits(parameters, "client_max_window_bits")
            if client is not None:
                client = min(client, BITS)
                return Terms(server, max(client, 9), f"{answer}; client_max_window_bits={client}")
    return None


def _known(parameters: dict[str, str | None]) -> bool:
    return all((name in _FLAGS and value is None) or name in _WINDOWS for name, value in parameters.items())


def _bits(parameters: dict[str, str | None], name: str) -> int | None:
    """The window that a parameter asks for: the largest if it asks for none; None if what it asks for is none."""
    value = parameters.get(name)
    if value is None:
        return 15 if name not in parameters or name == "client_max_window_bits" else None
    return int(value) if _WINDOW.fullmatch(value) else None


def offer() -> str:
    """What a client offers."""
    return f"{NAME}; {'; '.join(_FLAGS)}; client_max_window_bits={BITS}"


def agreed(values: list[str]) -> Terms | None:
    """What a server's answer to `offer()` means. Raises ValueError for what was not offered, or not as offered."""
    found = read(values)
    if not found:
        return None
    name, parameters = found[0]
    if len(found) > 1 or name != NAME or not _known(parameters):
        raise ValueError("they were not offered")
    server = _bits(parameters, "server_max_window_bits")
    client = BITS
    if "client_max_window_bits" in parameters:
        given = _bits(parameters, "client_max_window_bits")
        if given is None or parameters["client_max_window_bits"] is None or not 9 <= given <= BITS:
            raise ValueError("client_max_window_bits is not within what was offered")
        client = given
    if server is None or "server_no_context_takeover" not in parameters:
        # Section 7.1.1.1: a server that was asked to forget its window has to say that it does.
        raise ValueError("server_no_context_takeover was asked for and not granted")
    return Terms(client, max(server, 9), "")
