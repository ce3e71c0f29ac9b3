"""Keeps certificates fresh: looks at them twice a day, and orders those that are due, one after another.

Of all processes of a server one does it, whoever has the lock; when that one ends, another one has it within a minute.
What fails is tried again later and later, so that an authority's own limits are not reached (Let's Encrypt lets five
attempts fail in an hour).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm

from pyworkerd.errors import ConfigurationError
from pyworkerd.observe.text import one_line

from .files import AcmeFiles, begin, renewal
from .order import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pyworkerd_config import Acme, Certificate, Config

logger: Final = logging.getLogger("pyworkerd.acme")

LOOK_S: Final = 12 * 3600.0
LOCK_S: Final = 60.0
"""Between two attempts to be the one who does it."""
AGAIN_S: Final = 300.0
"""After a failure; twice as long after each further one, up to `LOOK_S`."""
MOST_FAILURES: Final = 30
"""In a row, after which a pause would be longer than `LOOK_S` by far."""
ORDER_S: Final = 300.0
"""For one order as a whole."""
NAME: Final = "acme"
"""Of the folder below `state_dir`."""


def folder_of(state_dir: Path) -> AcmeFiles:
    """Where a server keeps its accounts and challenges."""
    return AcmeFiles(state_dir / NAME)


def managed(config: Config) -> list[tuple[Acme, Certificate]]:
    """The certificates that are to be kept fresh."""
    return [
        (socket.https.acme, socket.https.certificates[0])
        for socket in config.sockets
        if socket.https is not None and socket.https.acme is not None
    ]


def must_have_client() -> None:
    """Raises `ConfigurationError` where the client that orders certificates is not installed."""
    if find_spec("acme") is None:
        message = "https.acme needs a client of the protocol that is not installed"
        raise ConfigurationError(f"{message}: pip install 'pyworkerd[acme]'")


def begin_all(config: Config, files: AcmeFiles) -> None:
    """Let every socket have something to listen with. Blocks on the disk. Raises `ConfigurationError`."""
    for acme, pair in managed(config):
        try:
            begin(files, pair, acme.hosts)
        except OSError as error:
            message = f"{error.filename}: no certificate can be kept there: {error.strerror}"
            raise ConfigurationError(message) from error
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            message = f"{pair.key}: no certificate can be asked for with this key: {one_line(str(error))}"
            raise ConfigurationError(message) from error


class Keeper:
    """`start` it inside the event loop; `aclose` ends what it does."""

    def __init__(self, wanted: Callable[[], Iterable[tuple[Acme, Certificate]]], files: AcmeFiles) -> None:
        self._wanted = wanted
        self._files = files
        self._known = list(wanted())
        self._failures = 0
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Do it from now on."""
        self._task = asyncio.create_task(self._keep())

    def changed(self) -> None:
        """There is another configuration now. What failed is not tried sooner for one that asks for the same."""
        wanted = list(self._wanted())
        if wanted != self._known:
            self._known = wanted
            self._failures = 0
            self._look.set()

    async def aclose(self) -> None:
        """Do it no more; an order that runs is ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        with ExitStack() as held:
            while not await asyncio.to_thread(self._lock, held):  # noqa: ASYNC110 - it is the kernel that lets go
                await asyncio.sleep(LOCK_S)
            while True:
                self._look.clear()
                failed = await self._renew()
                self._failures = self._failures + 1 if failed else 0
                pause = pause_after(self._failures)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._look.wait()

    def _lock(self, held: ExitStack) -> bool:
        try:
            self._files.prepare()
            with ExitStack() as trying:
                if not trying.enter_context(self._files.locked("keeper", wait=False)):
                    return False
                held.push(trying.pop_all())
        except OSError as error:
            logger.warning("certificates are not looked at: %s: %s", error.filename, error.strerror)
            return False
        return True

    async def _renew(self) -> bool:
        """Order what is due. Whether any of it failed."""
        failed = False
        for acme, pair in self._wanted():
            try:
                failed |= await asyncio.to_thread(_is_due, acme, pair) and not await self._order(acme, pair)
            except Exception:
                logger.exception("the certificate %s could not be looked at", pair.cert)
                failed = True
        return failed

    async def _order(self, acme: Acme, pair: Certificate) -> bool:
        hosts = tuple(dict.fromkeys(map(str.lower, acme.hosts)))
        names = ", ".join(hosts)
        folder = str(self._files.folder.absolute())
        order = Order(
            acme.directory,
            acme.email,
            hosts,
            folder,
            str(pair.cert.absolute()),
            str(pair.key.absolute()),
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pyworkerd.acme.order",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(ORDER_S):
                _, said = await process.communicate(order.dump())
        except TimeoutError:
            logger.warning("no certificate for %s: %s did not end", names, acme.directory)
            return False
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip().rpartition("\n")[2]
            logger.warning("no certificate for %s from %s: %s", names, acme.directory, reason)
            return False
        logger.info("%s signed a certificate for %s", acme.directory, names)
        return True


def pause_after(failures: int) -> float:
    """Seconds until the next look, after so many in a row of which something failed."""
    return min(AGAIN_S * 2.0 ** (failures - 1), LOOK_S) if 0 < failures < MOST_FAILURES else LOOK_S


def _is_due(acme: Acme, pair: Certificate) -> bool:
    return renewal(pair.cert.read_bytes(), acme.hosts) <= datetime.now(UTC)
