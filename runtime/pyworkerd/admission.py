"""Rate limits on what comes in: a request is counted, and perhaps refused, before its service hears of it.

Whom a request comes from is what `server.origin` believes. An IPv6 address counts as its network of 64 bits, which is
what one subscriber has (RFC 6177); whoever is on a Unix socket, or not told by a proxy, is one client.

Routes are compared with the path as it came, and with all that programs may read in it: decoded or not, without dot
segments, and with or without doubled slashes. They differ (`/a//../b` is `/a/b` by the URL standard, and `/b` for those
who take `//` for one slash). Which of them is right is the program's business; a limit that another spelling passes by
would be none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address
from time import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pyworkerd.bindings.rate_limit.counters import InMemoryRateLimits, RateLimits, Window
from pyworkerd.errors import RateLimited
from pyworkerd.observe.snapshot import add, label
from pyworkerd.routing import Route
from pyworkerd.server.info import connection_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pyworkerd_config.model import RateLimit, Service

    from pyworkerd.bindings.shared import Shared
    from pyworkerd.messages import Headers, Request
    from pyworkerd.observe.scope import Scope
    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.server.info import ConnectionInfo
    from pyworkerd.services.base import Surroundings

EVERYTHING: Final = "/*"
PLAIN: Final = 64
"""Characters of a header's value that is kept as it is; of a longer one a digest is."""
MOST_READ: Final = 1024
"""Characters of a path that is decoded: it takes 0.4 ms at most. Nobody writes longer ones in another spelling
but to pass by.
"""
_HEADER: Final = "header:"
_DOUBLED: Final = re.compile("//+")
_HERE: Final = frozenset({".", "%2e", "%2E"})
_UP: Final = frozenset(one + other for one in _HERE for other in _HERE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rate limit of one service."""

    window: Window
    key: str
    route: Route | None
    """None: all requests of the service."""

    @classmethod
    def of(cls, service: str, limit: RateLimit) -> Rule:
        """Its counters are known by what they count, so that they go on after a reload."""
        key = limit.key.lower()
        route = None if limit.route == EVERYTHING else Route.parse(limit.route)
        namespace = f"route {service} {limit.period} {key} {limit.route}"
        return cls(Window(namespace, limit.limit, limit.period), key, route)

    def covers(self, url: str) -> bool:
        """Whether a request for this absolute URL counts."""
        if self.route is None:
            return True
        parts = urlsplit(url)
        hosts = {parts.netloc, unquote(parts.netloc)}
        readings = as_read(parts.path or "/")
        return readings is None or any(self.route.matches(host, path) for host in hosts for path in readings)

    def counted_as(self, headers: Headers, client: str | None) -> str:
        """What has a count of its own. A request without the header counts for its client."""
        if self.key == "everyone":
            return ""
        if self.key.startswith(_HEADER):
            name = self.key.removeprefix(_HEADER)
            values = [value for each, value in headers if each == name]
            if values:
                return f"h{_short(', '.join(values))}"
        return f"c{_network(client)}"


class Admission:
    """The rate limits of one configuration. What the one before it has refused is counted on."""

    def __init__(
        self,
        services: Iterable[Service],
        shared: Shared,
        before: Admission | None = None,
        now: Callable[[], float] = time,
    ) -> None:
        self._rules: Mapping[str, tuple[Rule, ...]] = {
            service.name: tuple(Rule.of(service.name, each) for each in service.rate_limits)
            for service in services
            if service.rate_limits
        }
        counted: Mapping[str, int] = {} if before is None else before.refused
        self.refused: dict[str, int] = {name: counted.get(name, 0) for name in self._rules}
        """Requests, by service."""
        self._shared = shared
        self._now = now

    @property
    def _limits(self) -> RateLimits:
        # Not before it is used: who provides the counters is said after the first configuration is read.
        return self._shared.get(RateLimits, InMemoryRateLimits)  # type: ignore[type-abstract]

    async def admit(self, service: str, request: Request) -> None:
        """Count a request, which comes from whom the context says. Raises `RateLimited`, and `Overloaded` where the
        counters cannot be had.
        """
        if service not in self._rules:
            return
        now = self._now()
        for rule, key in self._counting(service, request, connection_info.get()):
            if not await self._limits.take(rule.window, key, now):
                raise self._refusal(service, rule, now)

    def admit_nowait(self, service: str, request: Request, span: Scope, surroundings: Surroundings) -> bool:
        """The same at once, for what is to be done in these. False, and nothing is counted, if it has to be waited
        for.
        """
        if service not in self._rules:
            return True
        now = self._now()
        counting = list(self._counting(service, request, surroundings().get(connection_info)))
        if len(counting) > 1:
            return False  # the second may have to be waited for when the first has counted
        for rule, key in counting:
            taken = self._limits.take_nowait(rule.window, key, now)
            if taken is None:
                return False
            if not taken:
                span.service = service
                raise self._refusal(service, rule, now)
        return True

    def _counting(
        self, service: str, request: Request, info: ConnectionInfo | None
    ) -> Iterator[tuple[Rule, str]]:
        client = None if info is None else info.client
        for rule in self._rules[service]:
            if rule.covers(request.url):
                yield rule, rule.counted_as(request.headers, client)

    def _refusal(self, service: str, rule: Rule, now: float) -> RateLimited:
        self.refused[service] += 1
        window = rule.window
        return RateLimited(window.limit, window.period, window.left(now))

    def write(self, snapshot: Snapshot) -> None:
        """Add what was refused to a snapshot."""
        for service, count in self.refused.items():
            add(snapshot, "requests_limited", (label(service),), count)


@lru_cache(16)  # a request is looked at by each limit of its service
def as_read(path: str) -> frozenset[str] | None:
    """A path, and what programs may read in it: decoded once or not, before or after they take out dot segments, of
    which backslashes are part, and with or without doubled slashes. None for one that is too long to be looked at: it
    counts, whatever it leads to.
    """
    if "%" not in path and "/." not in path and "//" not in path and "\\" not in path:
        return frozenset((path,))
    if len(path) > MOST_READ:
        return None
    slashed = {text.replace("\\", "/") for text in (path, unquote(path))}
    walked = {_walked(text) for text in slashed | _single(slashed)}
    found = slashed | walked | {path, unquote(path)}
    found |= {unquote(text) for text in found if "%" in text}
    return frozenset(found | _single(found))


def _single(paths: Iterable[str]) -> set[str]:
    return {_DOUBLED.sub("/", path) for path in paths}


def _walked(path: str) -> str:
    """A path without its dot segments, as the URL standard takes them out: an empty segment is one like any other."""
    kept: list[str] = []
    last = ""
    for last in path.split("/")[1:]:
        if last in _UP:
            del kept[-1:]
        elif last not in _HERE:
            kept.append(last)
    return f"/{'/'.join(kept)}{'/' if kept and (last in _UP or last in _HERE) else ''}"


def _short(value: str) -> str:
    if len(value) <= PLAIN:
        return f"={value}"
    return f"#{blake2b(value.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


@lru_cache(4096)
def _network(client: str | None) -> str:
    if client is None or ":" not in client:
        return client or ""
    return IPv6Address(client.partition("%")[0]).packed[:8].hex()
