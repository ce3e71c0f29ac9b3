"""Who may use the API of the admin address. No I/O: time, and whose tokens there are, are handed in.

Three ways lead in. A Unix socket is the operator's by the permissions of its file. Over TCP a program gives a token
with each request; a person gives it once to the dashboard, whose page then has a session of two secrets: a cookie that
no script can read and no other site's request carries, and one that the page sends itself and no browser sends for it.
Neither is enough. A browser takes all ports of a host for one when it sends cookies, so a worker that is served beside
this address may be sent ours; what a page keeps belongs to its port. Who gives wrong tokens again and again is not
listened to for a while.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.http.forwarded import neighbourhood
from pyworkerd.messages import header

from .tokens import digest_of, owner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.messages import Request

    from .tokens import Token

COOKIE: Final = "pyworkerd_admin"
CSRF: Final = "x-csrf-token"
"""Header with a session's second secret: forms cannot set it, and scripts of other sites may not."""
SESSION_S: Final = 12 * 3600.0
MAX_SESSIONS: Final = 64
"""One more, and the oldest is ended: somebody has to give a token again."""
FAILURES: Final = 10
PERIOD_S: Final = 60.0
"""So many wrong tokens from one address within so long; what comes then is not looked at."""
MAX_ADDRESSES: Final = 4096


class Caller(NamedTuple):
    """Who asks."""

    name: str
    """Of the token; `unix` for whoever can open the Unix socket."""
    session: Session | None = None


class Session(NamedTuple):
    """What a page of the dashboard has in place of a token."""

    token: Token
    csrf: str
    until: float
    """In seconds since 1970."""


class Denied(Exception):
    """The request is not answered: with which status, why, and after how many seconds it may be tried again."""

    def __init__(self, status: int, detail: str, retry_s: int | None = None) -> None:
        self.status, self.detail, self.retry_s = status, detail, retry_s
        super().__init__(detail)


UNIX: Final = Caller("unix")


class Gate:
    """One for each admin address."""

    def __init__(self, tokens: Callable[[], Sequence[Token]], *, wanted: bool) -> None:
        self._tokens = tokens
        self._wanted = wanted
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By address: when the first one was, and how many there were since."""

    def caller(self, request: Request, client: str | None, now: float) -> Caller:
        """Who sends this. `client` is the address it came from; None for a Unix socket. Raises `Denied`."""
        if client is None:
            return UNIX
        self._must_be_open(client, now)
        scheme, _, given = (header(request.headers, "authorization") or "").partition(" ")
        if scheme:
            token = self._owner(given.strip() if scheme.lower() == "bearer" else "", client, now)
            return Caller(token.name)
        if (cookie := _cookie(request)) is None:
            raise Denied(401, "give a token: authorization: Bearer pyw_...")
        session = self._session(cookie, now)
        if session is None:
            raise Denied(401, "the session has ended: give the token again")
        second = header(request.headers, CSRF) or ""
        if not hmac.compare_digest(second.encode(), session.csrf.encode()):
            raise Denied(401, f"the request has not the session's {CSRF}: give the token again")
        return Caller(session.token.name, session)

    def log_in(self, token: str, client: str | None, now: float) -> tuple[str, Session]:
        """A session for whoever has the token, and the value of its cookie. Raises `Denied`."""
        address = client or ""
        self._must_be_open(address, now)
        found = self._owner(token, address, now)
        until = min(now + SESSION_S, found.until or now + SESSION_S)
        value, session = secrets.token_urlsafe(32), Session(found, secrets.token_urlsafe(32), until)
        self._sessions[digest_of(value)] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return value, session

    def log_out(self, request: Request) -> None:
        """End the session that the request has, if it has one."""
        if (cookie := _cookie(request)) is not None:
            self._sessions.pop(digest_of(cookie), None)

    def _session(self, cookie: str, now: float) -> Session | None:
        session = self._sessions.get(digest_of(cookie))
        if session is None or now >= session.until or session.token not in self._tokens():
            return None
        return session

    def _must_be_open(self, client: str, now: float) -> None:
        if not self._wanted:
            raise Denied(403, "over TCP the API is off: configure admin.tokens, or use a Unix socket")
        since, count = self._failures.get(neighbourhood(client), (now, 0))
        if count >= FAILURES and now - since < PERIOD_S:
            wait = int(since + PERIOD_S - now) + 1
            raise Denied(429, "too many wrong tokens came from this address", wait)

    def _owner(self, given: str, client: str, now: float) -> Token:
        token = owner(given, self._tokens(), now)
        if token is None:
            self._failed(neighbourhood(client), now)
            raise Denied(401, "the token is wrong, or has ended")
        return token

    def _failed(self, address: str, now: float) -> None:
        since, count = self._failures.pop(address, (now, 0))
        if now - since >= PERIOD_S:
            since, count = now, 0
        self._failures[address] = since, count + 1
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def cookie_of(value: str, seconds: float, *, secure: bool) -> str:
    """The Set-Cookie header of a session (RFC 6265bis section 4.1); with 0 seconds it takes the cookie away."""
    over_tls = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={int(seconds)}; HttpOnly; SameSite=Strict{over_tls}"


def _cookie(request: Request) -> str | None:
    for pair in (header(request.headers, "cookie") or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None
