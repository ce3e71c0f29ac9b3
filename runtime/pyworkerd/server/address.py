"""Listening addresses as the configuration writes them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyworkerd.errors import ConfigurationError

_TCP: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """`host:port` or `[v6]:port`; host None is `*`, every interface. Port 0 lets the system choose."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = "*" if self.host is None else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """`unix:/path`."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class SystemdAddress:
    """`systemd:NAME`: whatever systemd opened under that name."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


def parse_address(text: str) -> TcpAddress | UnixAddress | SystemdAddress:
    """Raises `ConfigurationError`."""
    if text.startswith("systemd:") and len(text) > len("systemd:"):
        return SystemdAddress(text.removeprefix("systemd:"))
    if text.startswith("unix:") and len(text) > len("unix:") and "\0" not in text:
        return UnixAddress(text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigurationError(
            f"{text!r} is not an address to listen on: write host:port, [ipv6]:port, *:port, "
            "unix:/path or systemd:NAME"
        )
    host = match["v6"] or match["host"]
    return TcpAddress(None if host == "*" else host, int(match["port"]))
