"""The corpus of HTTP/1.1 requests in `http/*.toml`: what is sent, and what must come of it.

A file has `about`, a default `section` of the RFC, perhaps `before` (what each of its cases begins with), and cases:

    name          what is special about it
    section, why  where the rule stands, and what it is for; `attack` names the family of smuggling it belongs to
    send          the octets: each line break is a CRLF
    each          variants: `\\@` stands for each of these in turn, in every text of the case
    sees          the requests that a handler gets, as "METHOD URL" or "METHOD URL body"
    times         `sees` so many times over
    headers       all fields that the handler sees of the first request, as "name: value"
    closes        the connection ends after them, without a fault
    status        the request after them is refused so, and the connection ends; one of a list
    incomplete    the request after them has begun and may still be completed
    interim       the client waits for `100 Continue` and sends `then`
    except        for some of `each`: another outcome, that is a status, "incomplete", or what is seen

In every text `\\r \\n \\t \\0 \\a \\b \\v \\f \\xHH \\\\` stand for octets, a `\\` at the end of a line joins it to the
next one, and `\\{3*text}` is a text three times.

Limits are those of `SMALL`, so that cases stay short.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.http import HttpLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL: Final = HttpLimits(
    request_line=200, head=600, fields=8, body=1000, chunk_line=40, chunk_extensions=60, trailers=100
)
DEFAULT_AUTHORITY: Final = "default"
"""Stands in `sees` for the server's own address, which HTTP/1.0 requests without a Host get."""

_FOLDER: Final = Path(__file__).parent / "http"
_FILE_KEYS: Final = frozenset(("about", "section", "before", "case"))
_CASE_KEYS: Final = frozenset(
    (
        "name", "section", "why", "attack", "send", "each", "sees", "times", "headers", "closes", "status",
        "incomplete", "interim", "then", "except",
    )
)  # fmt: skip
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-f]{2})|\{([0-9]+)\*|(\r\n)|(.))", re.DOTALL)
_NAMED: Final = {
    b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"a": b"\a", b"b": b"\b", b"v": b"\v", b"f": b"\f",
    b"\\": b"\\",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A request as a handler gets it."""

    method: str
    url: str
    body: bytes = b""


@dataclass(frozen=True)
class Case:
    """One byte sequence and what must come of it."""

    id: str
    sent: bytes
    sees: tuple[Seen, ...] = ()
    headers: tuple[tuple[str, str], ...] | None = None
    closes: bool = False
    statuses: tuple[int, ...] = ()
    """Of the refusal; none if nothing is refused."""
    incomplete: bool = False
    interim: bool = False
    then: bytes = b""
    attack: str = field(default="", compare=False)

    @property
    def whole(self) -> bytes:
        """All octets, for a reader who need not be waited for."""
        return self.sent + self.then

    @property
    def goes_on(self) -> bool:
        """Whether another request may follow on the connection."""
        return not (self.closes or self.statuses or self.incomplete)


def octets(text: str) -> bytes:
    """A text of the corpus as the octets that it stands for. ValueError for an escape that there is not."""
    data, rest = _expand(text.encode("utf-8").replace(b"\n", b"\r\n"))
    if rest:
        raise ValueError(f"too many closing braces in {text!r}")
    return data


def _expand(text: bytes, *, nested: bool = False) -> tuple[bytes, bytes]:
    """What comes before the closing brace, if we are within one, and what comes after it."""
    out: list[bytes] = []
    while text:
        if nested and text[:1] == b"}":
            return b"".join(out), text[1:]
        if text[:1] != b"\\":
            out.append(text[:1])
            text = text[1:]
            continue
        match = _ESCAPE.match(text)
        if match is None:
            raise ValueError("a text ends in the middle of an escape")
        octet, times, joined, named = match.groups()
        text = text[match.end() :]
        if octet is not None:
            out.append(bytes.fromhex(octet.decode()))
        elif times is not None:
            inner, text = _expand(text, nested=True)
            out.append(inner * int(times))
        elif joined is None:
            out.append(_NAMED[named])
    if nested:
        raise ValueError("a brace is not closed")
    return b"".join(out), b""


def load() -> list[Case]:
    """All cases. ValueError for a file that does not follow the format above."""
    return [case for path in sorted(_FOLDER.glob("*.toml")) for case in _load(path)]


def _load(path: Path) -> Iterator[Case]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := table.keys() - _FILE_KEYS:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    for row in table["case"]:
        if unknown := row.keys() - _CASE_KEYS:
            raise ValueError(f"{path.name}: {row['name']}: unknown keys {sorted(unknown)}")
        if not (row.get("section") or table.get("section")):
            raise ValueError(f"{path.name}: {row['name']}: no section")
        for variant in row.get("each", [None]):
            yield _case(path.stem, table.get("before", ""), row, variant)


def _case(topic: str, before: str, row: dict[str, Any], variant: str | None) -> Case:
    def text(value: str) -> str:
        return value if variant is None else value.replace("\\@", variant)

    status = row.get("status", [])
    case = Case(
        id=f"{topic}: {_name(row['name'], variant)}",
        sent=octets(before) + octets(text(row["send"])),
        sees=tuple(_seen(text(one)) for one in row.get("sees", [])) * row.get("times", 1),
        headers=_headers([text(one) for one in row["headers"]]) if "headers" in row else None,
        closes=row.get("closes", False),
        statuses=(status,) if isinstance(status, int) else tuple(status),
        incomplete=row.get("incomplete", False),
        interim=row.get("interim", False),
        then=octets(row.get("then", "")),
        attack=row.get("attack", ""),
    )
    other = row.get("except", {}).get(variant)
    if other is None:
        return case
    nothing = replace(case, sees=(), headers=None, closes=False, statuses=(), incomplete=False)
    if isinstance(other, int):
        return replace(nothing, statuses=(other,))
    return (
        replace(nothing, incomplete=True) if other == "incomplete" else replace(nothing, sees=(_seen(other),))
    )


def _name(name: str, variant: str | None) -> str:
    if variant is None:
        return name
    return name.replace("\\@", variant) if "\\@" in name else f"{name} [{variant}]"


def _seen(text: str) -> Seen:
    method, url, body = [*octets(text.replace("\n", "\\n")).split(b" ", 2), b""][:3]
    return Seen(method.decode("latin-1"), url.decode("latin-1"), body)


def _headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = (octets(line).decode("latin-1").split(":", 1) for line in lines)
    return tuple((name.lower(), value.removeprefix(" ")) for name, value in pairs)
