"""TLS of one socket: its certificates as they are now, renewed while connections go on.

A file that changes is noticed within seconds, whatever renews it. New connections get the new certificate, those that
are open keep theirs. What cannot be used is logged once, and the old certificate stays.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final, Self

from pyworkerd_config import ConfigError, Place, Problem

from .certificates import Loaded, UnusableFiles, load, stamp_of

if TYPE_CHECKING:
    import ssl

    from pyworkerd_config import Config, Https, Socket

logger: Final = logging.getLogger("pyworkerd.server")


def alpn(settings: Https) -> tuple[str, ...]:
    """What is spoken inside (RFC 7301), best first."""
    return ("h2", "http/1.1") if settings.http2 else ("http/1.1",)


class Tls:
    """Make it with `open`, keep it fresh with `watch`."""

    def __init__(self, settings: Https, loaded: Loaded) -> None:
        self._settings = settings
        self._loaded = loaded
        self._seen = loaded.stamp

    @classmethod
    async def open(cls, socket: Socket, settings: Https) -> Self:
        """The TLS of a socket with these settings. Raises `ConfigError` for files that cannot be used."""
        if settings.http2:
            await asyncio.to_thread(import_module, "pyworkerd.server.http2_connection")
        try:
            return cls(settings, await asyncio.to_thread(load, settings, alpn(settings)))
        except UnusableFiles as error:
            raise ConfigError(_problems(socket, error)) from None

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._loaded.default

    async def refresh(self) -> bool:
        """Read the files again if one of them has changed since the last time. Returns whether they are in use."""
        stamp = await asyncio.to_thread(stamp_of, self._settings)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self._loaded = await asyncio.to_thread(load, self._settings, alpn(self._settings))
        except UnusableFiles as error:
            logger.warning("the changed certificate is not used, the one before it stays: %s", error)
            return False
        self._seen = self._loaded.stamp
        logger.info("the certificate %s is in use", self._settings.certificates[0].cert)
        return True

    async def watch(self, seconds: float) -> None:
        """Look at the files that often, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
            except Exception:
                logger.exception("certificates could not be looked at")


def certificate_problems(config: Config) -> list[Problem]:
    """What is wrong with the certificates of a configuration. Blocks on the disk."""
    problems: list[Problem] = []
    for socket in config.sockets:
        if socket.https is None or _is_to_come(socket.https):
            continue
        try:
            load(socket.https, alpn(socket.https))
        except UnusableFiles as error:
            problems += _problems(socket, error)
    return problems


def _is_to_come(https: Https) -> bool:
    """Whether the authority has still to sign what is looked for; the first certificate comes with the socket."""
    return https.acme is not None and not https.certificates[0].cert.exists()


def _problems(socket: Socket, error: UnusableFiles) -> list[Problem]:
    return [Problem(_place(socket, *fault.where), fault.message, fault.remedy) for fault in error.faults]


def _place(socket: Socket, *where: str | int) -> Place:
    return socket.places.at("https", *where) if socket.places.lines else socket.place
