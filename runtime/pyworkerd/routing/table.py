"""Routes: patterns of host and path, and the table that finds the most specific one.

    pattern = [ ( "http" / "https" / "*" ) "://" ] [ host [ ":" port ] ] path
    host    = name / "*." name / "*" name / "*"        ; a star only at its start
    path    = "/" *char [ "*" ]                        ; a star only at its end

As on Cloudflare, `*.example.com/*` matches the names below `example.com` but not itself, and `*example.com/*`
matches those, itself and `badexample.com`. A scheme narrows nothing here, because the socket has already
decided about TLS; a port is read and ignored. A query never takes part.

Paths are compared as they came on the wire: neither percent-encoding nor dot segments are resolved. A route
chooses which program answers, and that program sees the same undecoded path; normalising here would make two
readers of one path disagree, which is how access rules are passed by. So a route is no access rule: with the
routes `/admin/*` and `/*`, a request for `/%61dmin/` reaches the second service. Nothing is lost by it, since
every service has its own code and its own bindings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATTERN = re.compile(
    r"(?:(?P<scheme>[^:/]*)://)?(?P<host>\[[^/\]]*\]|[^/:\[]*)(?::(?P<port>[^/]*))?(?P<path>/.*)", re.DOTALL
)
_LABEL = r"[^\s*/?#@\\:\[\].]+"
_HOST = re.compile(rf"(?:\*\.?)?{_LABEL}(?:\.{_LABEL})*\.?|\*|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"/[^\s*?#]*\*?")
_SCHEMES = frozenset({None, "http", "https", "*"})


def _reduce(host: str) -> str:
    """A host without port and without the dot of the DNS root, in lower case. IDNA is left alone."""
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return (host[:end] if end > 0 else host).removesuffix(".").lower()


@dataclass(frozen=True, slots=True)
class Route:
    """One pattern, taken apart. `host` and `path` are without their stars."""

    host: str
    any_host: bool
    """The host may have anything before `host`; with an empty `host`, every host matches."""
    path: str
    any_path: bool
    """The path may have anything after `path`."""
    pattern: str = field(compare=False)

    @classmethod
    def parse(cls, pattern: str) -> Route:
        """Read a pattern. Raises ValueError with the pattern and the reason."""
        parts = _PATTERN.fullmatch(pattern)
        if parts is None:
            raise ValueError(f"route {pattern!r}: write [host]/path, as in '/api/*' or 'shop.example.com/*'")
        host, path = _reduce(parts["host"]), parts["path"]
        if parts["scheme"] not in _SCHEMES:
            raise ValueError(f"route {pattern!r}: the scheme must be http or https")
        if not host and (parts["scheme"] or parts["port"] is not None):
            raise ValueError(f"route {pattern!r}: there is no host")
        if parts["port"] is not None and not _is_port(parts["port"]):
            raise ValueError(f"route {pattern!r}: the port must be a number from 1 to 65535")
        if host and not _HOST.fullmatch(parts["host"]):
            raise ValueError(f"route {pattern!r}: the host must be a name, '*', or '*.' and a name")
        if not _PATH.fullmatch(path):
            raise ValueError(
                f"route {pattern!r}: a path has at most one '*', at its end, no query and no blank"
            )
        return cls(
            host=host.removeprefix("*"),
            any_host=host.startswith("*") or not host,
            path=path.removesuffix("*"),
            any_path=path.endswith("*"),
            pattern=pattern,
        )

    def matches(self, host: str, path: str) -> bool:
        """Whether a request for this host (a `Host` header) and path falls under the pattern."""
        host, path = _reduce(host), path.partition("?")[0]
        if self.any_host:
            # A star stands for one character or more in front of a dot, otherwise for none as well.
            host_fits = host.endswith(self.host) and (host != self.host or not self.host.startswith("."))
        else:
            host_fits = host == self.host
        return host_fits and (path.startswith(self.path) if self.any_path else path == self.path)


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 0 < int(text) < 65536


class _Paths:
    """The paths of one host pattern: exact ones, prefixes, and the lengths of prefixes, longest first."""

    __slots__ = ("exact", "lengths", "prefixes")

    def __init__(self) -> None:
        self.exact: dict[str, str] = {}
        self.prefixes: dict[str, str] = {}
        self.lengths: tuple[int, ...] = ()

    def match(self, path: str) -> str | None:
        if (service := self.exact.get(path)) is not None:
            return service
        for length in self.lengths:
            if length <= len(path) and (service := self.prefixes.get(path[:length])) is not None:
                return service
        return None


class Table:
    """All routes of a server. A look-up costs one dictionary access for each length that a prefix has.

    The most specific route wins: an exact host before a starred one and that before none (a longer starred
    host before a shorter one), then the longer path, then the exact path before the prefix of equal length.
    """

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        """Take (pattern, service) pairs; ValueError for a bad pattern and for one that two services claim."""
        self._hosts: dict[str, _Paths] = {}
        self._suffixes: dict[str, _Paths] = {}
        seen: dict[Route, str] = {}
        for pattern, service in routes:
            route = Route.parse(pattern)
            other = seen.setdefault(route, service)
            if other != service:
                raise ValueError(f"the services {other!r} and {service!r} have the same route {pattern!r}")
            self._add(route, service)
        for paths in (*self._hosts.values(), *self._suffixes.values()):
            paths.lengths = tuple(sorted({len(prefix) for prefix in paths.prefixes}, reverse=True))
        self._suffix_lengths = tuple(sorted({len(suffix) for suffix in self._suffixes}, reverse=True))

    def _add(self, route: Route, service: str) -> None:
        hosts = self._suffixes if route.any_host else self._hosts
        paths = hosts.setdefault(route.host, _Paths())
        (paths.prefixes if route.any_path else paths.exact)[route.path] = service

    def match(self, host: str, path: str) -> str | None:
        """The service for a request's `Host` (empty if it had none) and path, or None. A query is cut off."""
        host, path = _reduce(host), path.partition("?")[0]
        exact = self._hosts.get(host)
        if exact is not None and (service := exact.match(path)) is not None:
            return service
        for length in self._suffix_lengths:
            suffix = host[len(host) - length :] if length <= len(host) else None
            if suffix is None or (suffix == host and suffix.startswith(".")):
                continue
            paths = self._suffixes.get(suffix)
            if paths is not None and (service := paths.match(path)) is not None:
                return service
        return None
