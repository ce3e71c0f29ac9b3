"""How all processes go over to another configuration: prepare everywhere, then switch everywhere, or nowhere.

One process prepares first: it finds what is wrong, and builds the images that the others find. Nothing has changed
until all have prepared the same; whatever is wrong before that leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from os import fsencode, strerror
from typing import TYPE_CHECKING, Final

from pyworkerd.generation import digest_of
from pyworkerd.problems import Fault, Refusal, faults_of, status_of, warn_of
from pyworkerd.server import bind_socket
from pyworkerd.serving import key_of

from .child import Gone
from .deployed import read, trial_of
from .messages import BoundSocket, Discard, Prepare, Prepared, Refused
from .questions import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyworkerd_config import Config

    from pyworkerd.server import Listener
    from pyworkerd.versions.current import Change

    from .child import Child
    from .deployed import Deployed
    from .supervisor import Supervisor

logger = logging.getLogger("pyworkerd.supervisor")

TRIES: Final = 5
"""Files may change while they are read, and processes may end: so often the whole is begun anew."""
_NOBODY: Final = Fault("no process serves: try again when one does")
_UNFORESEEN: Final = Fault("it failed in a way that nobody has foreseen: the log has more")
_MOVED: Final = Fault("the files keep changing while they are loaded: try again when they are complete")


SYNC_S: Final = 60.0
"""For a disk; then the supervisor waits for it itself."""
MAX_WAITING: Final = 16
"""Changes that wait for those before them; one more is refused."""


class Busy(Exception):
    """Too many changes wait already."""


class Stopped(Exception):
    """The server ends: nothing is changed any more."""


class Reloading:
    """At most one reload at a time; whoever asks meanwhile gets one more after it. What somebody deploys is a reload
    with one change more, each by itself, in the order in which they came.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._generation = 0
        self._wanted = False
        self._changes: deque[tuple[Change, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether one is under way, so that no process may be started."""
        return self._task is not None

    def request(self) -> None:
        """Begin, or begin once more."""
        self._wanted = True
        self._begin()

    async def change(self, change: Change) -> None:
        """Let all processes go over to what a change makes of what was deployed, and keep it; or change nothing.

        Raises `RuleError` for one that cannot be, `Refusal`, `ConfigError` or `ConfigurationError` for what does not
        work, `StorageError` if it cannot be kept, `Busy`, `Stopped`. Whoever stops waiting for it does not stop it.
        """
        if self._supervisor.stopping:
            raise Stopped
        if len(self._changes) >= MAX_WAITING:
            raise Busy
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.append((change, done))
        self._begin()
        await done

    def _begin(self) -> None:
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
            # By turns: who deploys without a pause keeps no reload from its turn, and the other way round.
            while self._wanted or self._changes:
                if self._wanted:
                    self._wanted = False
                    await self._reload()
                if self._changes:
                    await self._apply(*self._changes.popleft())
        finally:
            self._task = None
            while self._changes:
                _settle(self._changes.popleft()[1], Stopped())
            self._supervisor.think()

    async def _apply(self, change: Change, done: asyncio.Future[None]) -> None:
        try:
            await self._go_over(change)
        except asyncio.CancelledError:
            _settle(done, Stopped())
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked for the change is told
            _settle(done, error)
        else:
            _settle(done, None)

    async def _go_over(self, change: Change | None = None) -> None:
        supervisor = self._supervisor
        while supervisor.starting:  # they have the old configuration: let them come first
            await supervisor.changed()
        for _ in range(TRIES):
            if await self._try(change):
                return
        raise Refusal([_MOVED], 1)

    async def _reload(self) -> None:
        supervisor = self._supervisor
        started = asyncio.get_running_loop().time()
        try:
            await self._go_over()
        except Exception as error:
            foreseen = status_of(error) is not None
            if not foreseen:  # no reason to leave the changes that wait
                logger.exception("a reload failed")
            supervisor.not_reloaded(faults_of(error) if foreseen else (_UNFORESEEN,))
        else:
            supervisor.mended()
            supervisor.report.reloaded(asyncio.get_running_loop().time() - started)

    async def _try(self, change: Change | None = None) -> bool:
        """Once. False if the ground moved. Raises what is wrong with the configuration."""
        supervisor = self._supervisor
        # What somebody deploys brings nothing along that the operator has written since and not loaded.
        deployed = read(supervisor.settings.load() if change is None else supervisor.config, change)
        config = deployed.config
        if change is None:
            supervisor.was_read(config)
            warn_of(config)
        new: dict[str, Listener] = {}
        try:
            for socket in config.sockets:
                if key_of(socket) not in supervisor.listeners:
                    new[key_of(socket)] = bind_socket(socket)
            children = supervisor.serving()
            if not children:
                if change is not None:
                    raise Refusal([_NOBODY], 1)  # noqa: TRY301 (nobody has tried it)
                self._adopt(config, new, "")  # whoever is started next begins with it
                return True
            digest = await self._prepare(children, deployed, new, change)
            if digest is not None and change is not None:
                await self._keep(deployed, children)
        except BaseException:
            _close(new)
            raise
        if digest is None:
            _close(new)
            return False
        await asyncio.gather(*(child.switch(self._generation) for child in children), return_exceptions=True)
        self._adopt(config, new, digest)
        return True

    async def _keep(self, deployed: Deployed, children: list[Child]) -> None:
        """Write it before anybody is served by it: from here on it survives."""
        try:
            writing = deployed.keeping()
            for path in writing:
                if (error := await self._sync(path)) is not None:
                    writing.throw(error)
        except BaseException:
            for child in children:
                child.tell(Discard(self._generation))
            raise

    async def _sync(self, path: Path) -> OSError | None:
        """Have something on disk, which a serving process has a thread to wait for; why it is not."""
        answer = await self._supervisor.let_one("sync", fsencode(path), SYNC_S) or b""
        if not 0 < len(answer) < 4 or not answer.isdigit():  # nobody could: what has to be has to be
            answer = TASKS["sync"](fsencode(path))
        number = int(answer)
        return OSError(number, strerror(number)) if number else None

    async def _prepare(
        self,
        children: list[Child],
        deployed: Deployed,
        new: Mapping[str, Listener],
        change: Change | None,
    ) -> str | None:
        """Let all processes prepare. What they agree on, or None if they do not. Raises `Refusal`."""
        self._generation += 1
        config = deployed.config
        sockets = {socket.name: new[key_of(socket)] for socket in config.sockets if key_of(socket) in new}
        bound = tuple(BoundSocket(n, str(each.address), len(each.sockets)) for n, each in sockets.items())
        descriptors = [each.fileno() for listener in sockets.values() for each in listener.sockets]
        message = Prepare(self._generation, bound, change.service if change else "", deployed.lives)
        agreed = False
        try:
            first, rest = children[:1], children[1:]
            trying = message._replace(trial=trial_of(change))
            answers = [await child.prepare(trying, descriptors) for child in first]
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


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _close(listeners: Mapping[str, Listener]) -> None:
    for listener in listeners.values():
        listener.close()
