"""Which requests the admin address answers at all. Pure.

It is for programs and people that were given it, never for web pages: a page of anybody can make the operator's own
browser send requests to an address that only the operator can reach. Two things give such a request away: what the
browser says about where it comes from (Fetch Metadata, Origin), and, where a name of the attacker's was made to point
here (DNS rebinding), the name in `Host`.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pyworkerd.messages import header, text_response

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyworkerd.messages import Request, Response

_OWN_SITES: Final = frozenset(("same-origin", "none"))
"""Values of Sec-Fetch-Site for requests that no foreign page has caused: by the site itself, by the user."""


def refusal(request: Request, hosts: Collection[str], *, local: bool) -> Response | None:
    """The answer to a request that must not be served; None for one that may be.

    `hosts` are the names that the address has besides IP addresses and `localhost`. `local`: it came by a Unix socket,
    which no browser opens and where a host means nothing.
    """
    authority = request.url.partition("://")[2].partition("/")[0]
    if not local and not _is_own(authority, hosts):
        # RFC 9110 section 15.5.20: this server does not answer for that name.
        return text_response(421, "this address does not answer for that host: see `admin.hosts`\n")
    site = header(request.headers, "sec-fetch-site")
    origin = header(request.headers, "origin")
    foreign = origin is not None and origin.partition("://")[2] != authority
    if foreign or (site is not None and site not in _OWN_SITES):
        return text_response(403, "this address does not answer requests of other sites\n")
    return None


def _is_own(authority: str, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", *(host.lower() for host in hosts)):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
