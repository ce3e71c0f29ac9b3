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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MIN_SEARCHED: Final = 6
"""Characters of a value that is looked for wherever it may be; a shorter one is hidden only where it was given. It
would be found in everything."""
MOST: Final = 32
"""Values of clients and other servers that are looked for in one recording, so that who sends thousands of cookies does
not make the search last. Those beyond are hidden where they are credentials, and nowhere else."""
_MORE: Final = "what is in more headers, in those headers alone,"
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
    """Values, each with its placeholder, in every form in which they are looked for; of `others` in fewer."""

    def __init__(self, values: Iterable[str], others: Iterable[str] = ()) -> None:
        pairs = dict(pair for value in values for pair in _forms(value, _PLAIN, _BASE64))
        pairs.update(pair for value in others for pair in _forms(value, _PLAIN[:OF_OTHERS], ()))
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


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_PLAIN: Final[tuple[Callable[[str], str], ...]] = (
    str,
    lambda text: json.dumps(text)[1:-1],
    lambda text: quote(text, safe="", errors="surrogatepass"),
    lambda text: quote_plus(text, errors="surrogatepass"),
    lambda text: _utf8(text).decode("latin-1"),
    lambda text: _utf8(text).hex(),
    lambda text: _utf8(text).hex().upper(),
)
"""A value as it is, and as it is written in JSON, in URLs, in headers and as hexadecimal digits."""
OF_OTHERS: Final = 4
_BASE64: Final = (base64.b64encode, base64.urlsafe_b64encode)


def _forms(
    value: str, plain: Sequence[Callable[[str], str]], in_base64: Sequence[Callable[[bytes], bytes]]
) -> Iterator[tuple[str, str]]:
    """What to look for, and what to put there."""
    if len(value) < MIN_SEARCHED:
        return
    instead = placeholder(value)
    pairs = [(form(value), form(instead)) for form in plain]
    pairs += [_in_base64(each, value, instead, before) for each in in_base64 for before in range(3)]
    for found, other in pairs:
        if found != other and len(found) >= MIN_SEARCHED and len(found) == len(other):
            yield found, other


def _in_base64(alphabet: Callable[[bytes], bytes], value: str, instead: str, before: int) -> tuple[str, str]:
    """What of base 64 is this value's alone where so many bytes (of three) come before it."""
    raw, other = _utf8(value), _utf8(instead)
    first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
    found, instead_of_it = (alphabet(bytes(before) + each)[first:last].decode() for each in (raw, other))
    return found, instead_of_it


class Hiding:
    """Hides in all batches of events of one isolate what has been found in any of them so far."""

    def __init__(self, bindings: Mapping[str, str]) -> None:
        self._bindings = dict(bindings)
        self._told = {f"the binding {name}" for name, value in bindings.items() if value}
        self._others: set[str] = set()
        self._hidden = Hidden(self._bindings.values())

    @property
    def hidden(self) -> Hidden:
        """What is looked for."""
        return self._hidden

    @property
    def told(self) -> tuple[str, ...]:
        """What was hidden, in words."""
        return tuple(sorted(self._told))

    def look(self, frame: bytes) -> None:
        """Find what is to be hidden in a batch of events."""
        events, _ = read_events(frame)
        before = len(self._others)
        for event in events:
            for pair in _headers_of(event):
                if is_secret(name := pair[0].lower()):
                    self._told.add(f"the header {name[:64]}" if len(self._told) < MOST else _MORE)
                    self._look_for(_parts_of(*pair))
            if event[0] == "fetch" and len(event) > 5 and type(event[5]) is str:
                words = [word for word in _secrets_of_url(event[5]) if len(word) >= MIN_SEARCHED]
                if words:
                    self._told.add("what looks like an id or a token in the URL")
                self._look_for(words)
        if len(self._others) != before:
            self._hidden = Hidden(self._bindings.values(), self._others)

    def _look_for(self, values: list[str]) -> None:
        for value in values:
            if len(self._others) < MOST:
                self._others.add(value)
            elif value not in self._others:
                self._told.add(_MORE)

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
