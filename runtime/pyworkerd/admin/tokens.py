"""Tokens of the API: how their file is written and read, and whose one is. Pure, but for `TokenFile`.

A file has a line for each: a name, the SHA-256 of the token, and perhaps when it ends. The tokens themselves, 256 bits
from the system, are in no file of the server's, so a fast hash is enough: nobody guesses them.

    ci     sha256:4bf9...                            # made by `pyworkerd token ci`
    anna   sha256:77d0...   until:2027-01-31
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import stat
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

logger = logging.getLogger("pyworkerd.admin")

VARIABLE: Final = "PYWORKERD_ADMIN_TOKEN"
"""Environment variable of the server with one token more, as it is."""
PREFIX: Final = "pyw_"
"""So that scanners of leaked secrets can know one."""
SHORTEST: Final = 24
"""Characters of a token that somebody chose: what can be guessed is none."""
MAX_BYTES: Final = 256 * 1024
MAX_TOKEN: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
EXAMPLE: Final = "ci sha256:... until:2027-01-31"


class Token(NamedTuple):
    """One that is accepted. Only its hash is known."""

    name: str
    digest: bytes
    until: float | None = None
    """When it ends, in seconds since 1970."""


def make_token() -> str:
    """A new one."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """What is kept of it."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def line_of(token: Token) -> str:
    """As a line of the file."""
    until = (
        "" if token.until is None else f" until:{datetime.fromtimestamp(token.until, UTC):%Y-%m-%dT%H:%M:%SZ}"
    )
    return f"{token.name} sha256:{token.digest.hex()}{until}\n"


def is_name(name: str) -> bool:
    """Whether a token can be called so."""
    return _NAME.fullmatch(name) is not None


def parse(text: str, place: Path) -> tuple[Token, ...]:
    """The tokens of a file. Raises `ConfigurationError` with a sentence for each line that is none."""
    found: dict[str, Token] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        token = _token(words)
        if token is None:
            wrong.append(f"{place}:{number}: this is no token: write for example {EXAMPLE}")
        elif token.name in found:
            wrong.append(
                f"{place}:{number}: there are two tokens named {token.name!r}: give one another name"
            )
        else:
            found[token.name] = token
    if wrong:
        raise ConfigurationError(*wrong)
    return tuple(found.values())


def _token(words: Sequence[str]) -> Token | None:
    if not 2 <= len(words) <= 3 or not is_name(words[0]) or (match := _HASH.fullmatch(words[1])) is None:
        return None
    if len(words) == 2:
        return Token(words[0], bytes.fromhex(match[1]))
    key, _, text = words[2].partition(":")
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return None
    if key != "until":
        return None
    return Token(
        words[0], bytes.fromhex(match[1]), (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
    )


def owner(given: str, tokens: Sequence[Token], now: float) -> Token | None:
    """The token that this is; None if it is none, or has ended.

    It takes the same time whichever it is, and however much of it is right.
    """
    digest = digest_of(given[:MAX_TOKEN])
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest) and (token.until is None or now < token.until):
            found = token
    return found


def from_environment(value: str | None) -> tuple[Token, ...]:
    """The one that `VARIABLE` holds. Raises `ConfigurationError` for one that could be guessed."""
    value = (value or "").strip()  # as it is when it comes in a header
    if not value:
        return ()
    if len(value) < SHORTEST:
        raise ConfigurationError(
            f"the token in {VARIABLE} has {len(value)} characters, and needs {SHORTEST}: `pyworkerd token` makes one"
        )
    return (Token("environment", digest_of(value)),)


class TokenFile:
    """A file of tokens, and those of the environment. It is read again when it has changed: a token that was taken out
    of it is none from that moment on.
    """

    def __init__(self, path: Path | None, more: tuple[Token, ...] = ()) -> None:
        self._path = path
        self._more = more
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._wrong = ""
        """What is wrong with the file, and was said."""
        if path is not None:
            self._read()

    @property
    def wanted(self) -> bool:
        """Whether any were configured, be it none at the moment."""
        return self._path is not None or bool(self._more)

    def now(self) -> tuple[Token, ...]:
        """Those that are accepted now: none of the file while it cannot be read."""
        if self._path is not None:
            try:
                self._read()
            except ConfigurationError as error:
                self._tokens, self._seen = (), None
                if str(error) != self._wrong:  # once, and not for whoever asks
                    self._wrong = str(error)
                    logger.error("no token of the file is accepted: %s", error)  # noqa: TRY400 - a sentence is enough
        return (*self._tokens, *self._more)

    def _read(self) -> None:
        assert self._path is not None
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen == self._seen:
                return
            self._tokens, self._seen = (), None
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                raise ConfigurationError(f"{self._path} is no file of tokens, or a very large one")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise ConfigurationError(f"{self._path} can be written to by others: chmod go-w {self._path}")
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES).decode("utf-8")
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{self._path} is not UTF-8") from None
        self._tokens, self._seen, self._wrong = parse(text, self._path), seen, ""
