"""What a recording must not show, and what stands in its place: text of the same length and form. Pure.

Credentials of clients and what looks like an id in a URL are found by the rules of tail workers (`observe.redaction`).
The values of `secret` and `environment` bindings are known.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from pyworkerd_isolates import wire
from pyworkerd_isolates.replay.telling import blob_of, read_events

from pyworkerd.observe.redaction import ids_of, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MIN_SEARCHED: Final = 6
"""Characters of a value that is looked for wherever it may be; a shorter one is hidden only where it was given. It
would be found in everything."""
_HEADERS: Final = {("fetch", None): 6, ("resolve", "response"): 4, ("resolve", "upgrade"): 3}
"""Where the headers are, in the events that have some."""


def placeholder(value: str) -> str:
    """Text that stands for a value: as long in every encoding, letters for letters and digits for digits, so that what
    reads the value's form still can. It is never the value itself.
    """
    for letter, capital, digit in ("xX0", "yY1"):
        text = "".join(_stand_in(each, letter, capital, digit) for each in value)
        if text != value:
            return text
    return value  # nothing but punctuation: its form is all that it is


def _stand_in(character: str, letter: str, capital: str, digit: str) -> str:
    if not character.isascii():
        # As many bytes in UTF-8, and as many units in UTF-16.
        return (
            "éè"[letter == "y"]
            if character < "\u0800"
            else "€₤"[letter == "y"]
            if character < "\U00010000"
            else "𝄞𝄢"[letter == "y"]
        )
    if character.isdigit():
        return digit
    if character.isalpha():
        return capital if character.isupper() else letter
    return character


class Hidden:
    """Values, each with its placeholder, in every form in which they are looked for."""

    def __init__(self, values: Iterable[str]) -> None:
        pairs = {
            found: instead
            for value in values
            if len(value) >= MIN_SEARCHED
            for found, instead in _forms(value, placeholder(value))
            if found != instead
        }
        self._texts = sorted(pairs.items(), key=lambda pair: -len(pair[0]))
        self._bytes = [(found.encode(), instead.encode()) for found, instead in self._texts]

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, text: str) -> str:
        """The same with placeholders."""
        for found, instead in self._texts:
            text = text.replace(found, instead)
        return text

    def data(self, data: bytes) -> bytes:
        """The same of bytes."""
        data = bytes(data)
        for found, instead in self._bytes:
            data = data.replace(found, instead)
        return data

    def tree(self, value: Any) -> Any:
        """The same of everything in what JSON can say."""
        if type(value) is str:
            return self.text(value)
        if type(value) is list:
            return [self.tree(each) for each in value]
        if type(value) is dict:
            return {self.text(key): self.tree(each) for key, each in value.items()}
        return value

    def frame(self, message: Any, blobs: Sequence[bytes]) -> tuple[Any, list[bytes]]:
        """The same of a frame."""
        return self.tree(message), [self.data(blob) for blob in blobs]


def _forms(value: str, instead: str) -> list[tuple[str, str]]:
    """A value as it is and as it is written in JSON, in URLs, as hexadecimal digits and in base 64."""
    plain: tuple[Callable[[str], str], ...] = (
        str,
        lambda text: json.dumps(text)[1:-1],
        lambda text: quote(text, safe=""),
        quote_plus,
        lambda text: text.encode("utf-8", "surrogatepass").decode("latin-1"),
        lambda text: text.encode("utf-8", "surrogatepass").hex(),
        lambda text: text.encode("utf-8", "surrogatepass").hex().upper(),
    )
    pairs = [(form(value), form(instead)) for form in plain]
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        pairs += [_in_base64(alphabet, value, instead, before) for before in range(3)]
    return [
        (found, other) for found, other in pairs if len(found) >= MIN_SEARCHED and len(found) == len(other)
    ]


def _in_base64(alphabet: Callable[[bytes], bytes], value: str, instead: str, before: int) -> tuple[str, str]:
    """What of base 64 is this value's alone where so many bytes (of three) come before it."""
    raw, other = (text.encode("utf-8", "surrogatepass") for text in (value, instead))
    first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
    found, instead_of_it = (alphabet(bytes(before) + each)[first:last].decode() for each in (raw, other))
    return found, instead_of_it


class Hiding:
    """Hides in all batches of events of one isolate what has been found in any of them so far."""

    def __init__(self, bindings: Mapping[str, str]) -> None:
        self._bindings = dict(bindings)
        self._values: dict[str, str] = {
            value: f"the binding {name}" for name, value in bindings.items() if value
        }
        self._hidden = Hidden(self._values)

    @property
    def hidden(self) -> Hidden:
        """What is looked for."""
        return self._hidden

    @property
    def told(self) -> tuple[str, ...]:
        """What was hidden, in words."""
        return tuple(sorted(set(self._values.values())))

    def look(self, frame: bytes) -> None:
        """Find what is to be hidden in a batch of events."""
        events, _ = read_events(frame)
        before = len(self._values)
        for event in events:
            for pair in _headers_of(event):
                if is_secret(pair[0].lower()):
                    for part in _parts_of(*pair):
                        self._values.setdefault(part, f"the header {pair[0].lower()[:64]}")
            if event[0] == "fetch" and len(event) > 5 and type(event[5]) is str:
                for word in _secrets_of_url(event[5]):
                    self._values.setdefault(word, "what looks like an id or a token in the URL")
        if len(self._values) != before:
            self._hidden = Hidden(self._values)

    def hide(self, frame: bytes) -> bytes:
        """A batch of events with placeholders."""
        events, blobs = read_events(frame)
        blobs = list(blobs)
        for event in events:
            for pair in _headers_of(event):
                if is_secret(pair[0].lower()):
                    pair[1] = placeholder(pair[1])
            if event[0] == "init":
                self._bind(event, blobs)
        return wire.encode(*self._hidden.frame(events, blobs))

    def _bind(self, event: list[Any], blobs: list[bytes]) -> None:
        for row in event[1]:
            if row[1] == "value" and self._bindings.get(row[0]):
                assert blob_of(row[2], blobs) is not None
                blobs[row[2]] = wire.dump_value(placeholder(self._bindings[row[0]]))


def _headers_of(event: list[Any]) -> list[list[str]]:
    kind = event[2] if event[0] == "resolve" and len(event) > 2 else None
    place = _HEADERS.get((event[0], kind))
    found = event[place] if place is not None and len(event) > place else None
    return found if type(found) is list else []


def _parts_of(name: str, value: str) -> list[str]:
    """A credential, and what of it a program takes out: the values of cookies, a token without its scheme."""
    if name.lower() in ("cookie", "set-cookie"):
        return [value, *(pair.partition("=")[2].strip(' "') for pair in value.split(";"))]
    return [value, value.rpartition(" ")[2]]


def _secrets_of_url(url: str) -> list[str]:
    query = urlsplit(url).query
    named = [value for name, value in parse_qsl(query) if is_secret(name.lower())]
    return [*ids_of(url), *named]
