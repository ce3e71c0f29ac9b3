"""How all processes go over to another configuration: prepare everywhere, then switch everywhere, or nowhere.

One process prepares first: it finds what is wrong, and builds the images that the others find. Nothing has changed
until all have prepared the same; whatever is wrong before that leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pyworkerd.generation import digest_of
from pyworkerd.problems import Fault, Refusal, faults_of, status_of, warn_of
from pyworkerd.server import bind_socket
from pyworkerd.serving import key_of

from .child import Gone
from .messages import BoundSocket, Discard, Prepare, Prepared, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_config import Config

    from pyworkerd.server import Listener

    from .child import Child
    from .supervisor import Supervisor

logger = logging.getLogger("pyworkerd.supervisor")

TRIES: Final = 5
"""Files may change while they are read, and processes may end: so often the whole is begun anew."""
_MOVED: Final = Fault("the files keep changing while they are loaded: try again when they are complete")


class Reloading:
    """At most one reload at a time; whoever asks meanwhile gets one more after it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._generation = 0
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether one is under way, so that no process may be started."""
        return self._task is not None

    def request(self) -> None:
        """Begin, or begin once more."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Leave it."""
        self._wanted = False
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Wait until it has been left."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await self._reload()
        finally:
            self._task = None
            self._supervisor.think()

    async def _reload(self) -> None:
        supervisor = self._supervisor
        started = asyncio.get_running_loop().time()
        while supervisor.starting:  # they have the old configuration: let them come first
            await supervisor.changed()
        try:
            for _ in range(TRIES):
                if await self._try():
                    break
            else:
                raise Refusal([_MOVED], 1)  # noqa: TRY301 (told like what processes refuse)
        except Exception as error:
            if status_of(error) is None:
                raise
            supervisor.not_reloaded(faults_of(error))
        else:
            supervisor.mended()
            supervisor.report.reloaded(asyncio.get_running_loop().time() - started)

    async def _try(self) -> bool:
        """Once. False if the ground moved. Raises what is wrong with the configuration."""
        supervisor = self._supervisor
        config = supervisor.settings.load()
        supervisor.was_read(config)
        warn_of(config)
        new: dict[str, Listener] = {}
        try:
            for socket in config.sockets:
                if key_of(socket) not in supervisor.listeners:
                    new[key_of(socket)] = bind_socket(socket)
            children = supervisor.serving()
            if not children:  # whoever is started next begins with it
                self._adopt(config, new, "")
                return True
            digest = await self._prepare(children, config, new)
        except BaseException:
            _close(new)
            raise
        if digest is None:
            _close(new)
            return False
        await asyncio.gather(*(child.switch(self._generation) for child in children), return_exceptions=True)
        self._adopt(config, new, digest)
        return True

    async def _prepare(
        self, children: list[Child], config: Config, new: Mapping[str, Listener]
    ) -> str | None:
        """Let all processes prepare. What they agree on, or None if they do not. Raises `Refusal`."""
        self._generation += 1
        sockets = {socket.name: new[key_of(socket)] for socket in config.sockets if key_of(socket) in new}
        bound = tuple(BoundSocket(n, str(each.address), len(each.sockets)) for n, each in sockets.items())
        descriptors = [each.fileno() for listener in sockets.values() for each in listener.sockets]
        message = Prepare(self._generation, bound)
        agreed = False
        try:
            first, rest = children[:1], children[1:]
            answers = [await child.prepare(message, descriptors) for child in first]
            answers += await asyncio.gather(*(child.prepare(message, descriptors) for child in rest))
            digests = {_digest(answer) for answer in answers}
            agreed = len(digests) == 1 and next(iter(digests)).startswith(f"{digest_of(config)}-")
            return digests.pop() if agreed else None
        except Gone:
            return None
        finally:
            if not agreed:
                for child in children:
                    child.tell(Discard(self._generation))

    def _adopt(self, config: Config, new: Mapping[str, Listener], digest: str) -> None:
        supervisor = self._supervisor
        if config.admin != supervisor.config.admin:
            logger.warning("another admin address: it takes effect when the server is started again")
        for child in supervisor.serving():
            child.digest = digest
        supervisor.config, supervisor.digest = config, digest
        supervisor.listeners.update(new)
        for key in supervisor.listeners.keys() - {key_of(socket) for socket in config.sockets}:
            supervisor.listeners.pop(key).close()


def _digest(answer: Prepared | Refused) -> str:
    if isinstance(answer, Refused):
        raise Refusal(answer.faults, answer.status)
    return answer.digest


def _close(listeners: Mapping[str, Listener]) -> None:
    for listener in listeners.values():
        listener.close()
