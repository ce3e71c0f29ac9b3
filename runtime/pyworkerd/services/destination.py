"""Where an outbound request goes: an absolute http or https URL, taken apart as browsers do. Pure.

Two readers of one URL must not disagree about its host, so this one either understands a host as browsers do
or refuses it: `http://0177.1/`, `http://2130706433/` and `http://0x7f.0.0.1/` all become 127.0.0.1 and are
judged as that. Refused are userinfo (as `new Request()` refuses it), control characters, percent signs in
hosts, zones of IPv6 addresses, and ports other than 1 to 65535. Path and query stay as written, apart from
characters that may not stand in a request line: those are percent-encoded as UTF-8. A fragment never leaves
the guest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

if TYPE_CHECKING:
    from .egress import Address

MAX_URL = 16 * 1024
"""Characters of a URL: Cloudflare's limit."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_KEEP = "!#$%&'()*+,/:;=?@[]^_`{|}~-."
"""What `quote` leaves alone besides letters and digits: not blank, quotation mark, <, > and backslash."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that can be requested."""

    scheme: str
    host: str
    """Lower-case ASCII name, or an address in its usual spelling; IPv6 without brackets."""
    address: Address | None
    """The host, where it is an address."""
    port: int
    target: str
    """Path and query, ready for a request line."""

    @property
    def authority(self) -> str:
        """What stands in a `Host` header: the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What has to be equal for two URLs to trust each other with credentials (RFC 6454)."""
        return (self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The URL as it was understood."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read an absolute URL. Raises ValueError with a sentence that a tenant may read."""
        text = text.strip(" ")
        if len(text) > MAX_URL:
            raise ValueError(f"the URL is longer than {MAX_URL} characters")
        if _CONTROL.search(text):
            raise ValueError("the URL contains control characters")
        parts = _URL.fullmatch(_turn_slashes(text))
        scheme = parts["scheme"].lower() if parts else ""
        if parts is None or scheme not in _DEFAULT_PORTS:
            raise ValueError("only absolute http and https URLs can be fetched")
        if "@" in parts["authority"]:
            raise ValueError("the URL contains a user name or a password")
        host, address, port = _read_authority(parts["authority"], _DEFAULT_PORTS[scheme])
        target = quote((parts["path"] or "/") + (parts["query"] or ""), safe=_KEEP)
        return cls(scheme, host, address, port, target)

    def join(self, reference: str) -> Destination:
        """Resolve a `Location` header (text of latin-1 characters) against this URL. Raises ValueError."""
        # The bytes on the wire are what the other side means, most often UTF-8.
        reference = quote(reference.strip(" ").encode("latin-1"), safe=_KEEP + "\\")
        return Destination.parse(urljoin(self.url, _turn_slashes(reference)))


def _turn_slashes(text: str) -> str:
    """A backslash in front of the query is a slash (WHATWG URL, "special authority slashes state")."""
    cut = min((at for at in (text.find("?"), text.find("#")) if at >= 0), default=len(text))
    return text[:cut].replace("\\", "/") + text[cut:]


def _read_authority(text: str, default_port: int) -> tuple[str, Address | None, int]:
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        raise ValueError("the host or the port of the URL is malformed")
    port = int(parts["port"][:6]) if parts["port"] else default_port
    if not 0 < port < 65536:
        raise ValueError("the port of the URL must be from 1 to 65535")
    host = parts["host"]
    if host.startswith("["):
        address: Address | None = _read_ipv6(host[1:-1])
        return str(address), address, port
    name = _to_ascii(host)
    if not _NAME.fullmatch(name) or len(name.removesuffix(".")) > 253:
        raise ValueError("the host of the URL is malformed")
    address = _read_ipv4(name)
    return (name if address is None else str(address)), address, port


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    from yarl import URL  # noqa: PLC0415  (start-up time: few programs need it)

    try:
        return (URL.build(scheme="http", host=host).raw_host or "").lower()
    except (ValueError, UnicodeError):
        raise ValueError("the host of the URL is malformed") from None


def _read_ipv6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise ValueError("the IPv6 address in the URL is malformed")
    return address


def _read_ipv4(name: str) -> IPv4Address | None:
    """The WHATWG IPv4 parser: one to four numbers, octal after 0, hex after 0x; the last fills the rest.

    None if the last label is no number: then it is a name.
    """
    labels = name.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    if len(labels) > 4 or not all(map(_NUMBER.fullmatch, labels)):
        raise ValueError("the IPv4 address in the URL is malformed")
    try:
        numbers = [_read_number(label) for label in labels]
    except ValueError:
        raise ValueError("the IPv4 address in the URL is malformed") from None
    *heads, last = numbers
    if any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        raise ValueError("the IPv4 address in the URL is out of range")
    return IPv4Address(last + sum(head << (24 - 8 * at) for at, head in enumerate(heads)))


def _read_number(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if len(label) > 1 and label[0] == "0" else 10)
