"""The supervisor: it starts serving processes, watches over them, and replaces, reloads and ends them.

It runs no code of tenants and keeps no thread. What to do it asks `policy.plan`; this is the shell that performs it.
Forking is done by `run`, outside of the event loop: see `next_fork`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from pyworkerd_config.model import Worker

from pyworkerd.observe.totals import Totals
from pyworkerd.problems import FAILED, Fault, Refusal
from pyworkerd.server import Table
from pyworkerd.server.notify import READY, STOPPING, notify
from pyworkerd.serving import Listening, key_of

from .child import Child, Gone
from .messages import Leaving, Prepared, Progress, Ready, Refused, Switched, Trouble
from .policy import Failures, GiveUp, Kill, Leave, Start, State, plan
from .reloading import Reloading
from .settings import Inheritance, shares
from .watching import Watch, look, pause_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd_config import Config

    from pyworkerd.admin.live import Live
    from pyworkerd.admin.site import Site
    from pyworkerd.admin.tokens import TokenFile
    from pyworkerd.bindings.rate_limit.shared import SharedCounters
    from pyworkerd.observe.feed import Feed
    from pyworkerd.server import Listener, Seat
    from pyworkerd.versions.current import Change

    from .forking import Fork
    from .messages import ControlError, FromProcess
    from .output import Output
    from .policy import Action
    from .reports import Reports
    from .settings import Settings

logger = logging.getLogger("pyworkerd.supervisor")

TURN_S: Final = 1.0
"""How often the supervisor looks at everything, besides whenever something happens."""
PATIENCE_S: Final = 3.0
"""After the second signal: how long closing may take."""
LAST_WORDS_S: Final = 1.0
"""After the last process: how long the rest of its log may take."""
ANSWER_S: Final = 2.0
"""For the answer to a question. Prometheus waits 10 s for a scrape."""


class Supervisor:
    """Made and run inside its event loop, in the main thread."""

    def __init__(
        self,
        settings: Settings,
        config: Config,
        listeners: Mapping[str, Listener],
        report: Reports,
        log: Output,
        counters: SharedCounters,
    ) -> None:
        self.settings = settings
        self.config = config
        self.listeners = dict(listeners)
        """Of the configuration's sockets, by `serving.key_of`."""
        self.report = report
        self.children: dict[int, Child] = {}
        self.digest = ""
        """Names what is served."""
        self.replaced = 0
        """Processes that ended without being asked to."""
        self.stopping = False
        self._log = log
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._table = Table()
        self._failures = Failures()
        self._forking = 0
        self._forks: asyncio.Queue[bool] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._begun = self._complete = False
        self._status = 0
        self._refusal: Refusal | None = None
        self._ended_lately: deque[Child] = deque(maxlen=256)
        """Their log may not be complete."""
        self._reloading = Reloading(self)
        self._turning = self._loop.call_later(TURN_S, self._turn)
        self._started_at = self._loop.time()
        self._admin: Site | None = None
        self.totals = Totals()
        self.feed: Feed | None = None
        self.live: Live = cast("Live", None)
        """Set with the admin address."""
        self._on_terminal = os.isatty(2)
        self._trouble: tuple[Fault, ...] = ()
        """Why the last reload was refused."""
        self._seen = config
        """The last configuration that could be read, whether it is served or not."""
        self._watched = Watch(look(config) if settings.watch else {})
        self._watching = asyncio.ensure_future(self._watch()) if settings.watch else None
        self._signals(install=True)
        self.think()

    # forking, which happens outside of the event loop ------------------------------------------------

    async def next_fork(self) -> Inheritance | None:
        """Wait until a process is to be forked, and give what it inherits. None: the end has come, see `close`."""
        if not await self._forks.get():
            return None
        sockets = {socket.name: self.listeners[key_of(socket)] for socket in self.config.sockets}
        return Inheritance(self.settings, self.config, sockets, self._table.take(), self._counters)

    def forked(self, fork: Fork, seat: Seat) -> None:
        """There is a new process, in the seat that it inherited."""
        self._forking -= 1
        child = Child(next(self._numbers), fork, seat, self._log, self, self.settings.drain_s)
        self.children[child.number] = child
        if self.stopping:
            self.think()

    def could_not_fork(self, error: OSError, seat: Seat) -> None:
        """The system has no room for another process."""
        self._forking -= 1
        self._table.free(seat)
        logger.error("cannot start a process: %s", error.strerror)
        self._failures = self._failures.ended(self._loop.time(), None)

    # thinking ----------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._turning = self._loop.call_later(TURN_S, self._turn)
        for child in self.children.values():
            child.look()
        self.think()

    def think(self) -> None:
        """Look at everything, and do what has to be done."""
        self._changed.set()
        self._changed.clear()
        if self._forking:
            return  # what comes of it is not known yet
        if self.stopping and not self.children:
            self._forks.put_nowait(False)
            return
        policy = shares(self.settings, self.config).policy
        if self.stopping:
            policy = policy._replace(wanted=0)
        processes = [child.view(TURN_S) for child in self.children.values()]
        for action in plan(policy, processes, self._failures, self._loop.time()):
            self._perform(action)

    def _perform(self, action: Action) -> None:
        match action:
            case Start():
                if not self._reloading.active:
                    self._forking += 1
                    self._forks.put_nowait(True)
            case Leave(number, why):
                if not self.stopping:
                    logger.info("%r is to end: %s", self.children[number], why)
                self.children[number].leave(self.settings.drain_s)
            case Kill(number, why):
                self._kill(self.children[number], why)
            case GiveUp():
                fault = Fault("no serving process can start: the log says how each of them ended")
                self._refuse(Refusal([fault], FAILED))

    def _kill(self, child: Child, why: str) -> None:
        if not child.doomed:
            logger.error("%r is killed: %s", child, why)
            child.kill()

    async def changed(self) -> None:
        """Wait until something happens."""
        await self._changed.wait()

    def serving(self) -> list[Child]:
        """Processes that take new requests, the oldest first."""
        return [child for child in self.children.values() if child.state is State.SERVING]

    @property
    def starting(self) -> bool:
        """Whether processes are on their way."""
        return bool(self._forking) or any(c.state is State.STARTING for c in self.children.values())

    # what processes say and do -----------------------------------------------------------------------

    def heard(self, child: Child, message: FromProcess) -> None:
        """See `child.Listener`."""
        match message:
            case Ready() if child.state is State.SERVING and child.digest == message.digest:
                self._ready(child, message)
            case Ready() if child.state is State.DRAINING:
                pass  # it was asked to end while it started
            case Refused(0) if child.state is State.STARTING:
                self._refused(child, message)
            case Refused() | Prepared() | Switched():
                pass  # the reload that asked for it has been left
            case Leaving():
                logger.info("%r was told to end: it finishes what runs", child)
                self.think()
            case Progress(step):
                self.report.progress(step)
            case _:
                self._kill(child, f"it said {type(message).__name__} without being asked")

    def _ready(self, child: Child, message: Ready) -> None:
        if not self._begun:
            self._begun = True
            if self.config.deploy == "lazy":
                self.report.dormant(sum(isinstance(s.kind, Worker) for s in self.config.services))
            for worker in message.deployed:
                self.report.deployed(worker.worker, worker.microseconds / 1000, built=worker.built)
            for socket in self.config.sockets:
                address = str(self.listeners[key_of(socket)].address)
                secure = socket.https is not None
                self.report.listening(Listening(socket.name, address, socket.service, secure))
        if self._trouble:
            self._tell_trouble(child)
        self.digest = self.digest or message.digest
        if message.digest != self.digest:
            logger.warning(
                "%r found other files than those that are served: all processes load them now", child
            )
            self.reload()
        if not self._complete and len(self.serving()) == shares(self.settings, self.config).processes:
            self._complete = True
            self.report.complete(len(self.serving()))
            notify(READY)
        self.think()

    def _refused(self, child: Child, message: Refused) -> None:
        refusal = Refusal(message.faults, message.status)
        if self._begun:
            logger.error("%r cannot serve: %s", child, refusal)
        else:
            self._refuse(refusal)

    def broke(self, child: Child, error: ControlError) -> None:
        """See `child.Listener`."""
        self._kill(child, f"it broke the protocol of the control channel: {error}")

    def _reap(self) -> None:
        """Take note of every process that has ended, of adopted ones as well: in a container this may be process 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in self.children.values():
                if child.pid == pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))
                    break

    def _ended(self, child: Child, status: int) -> None:
        del self.children[child.number]
        asked = child.state is State.DRAINING or self.stopping
        if status < 0:
            logger.error("%r was ended by %s", child, _name(-status))
        elif not asked:
            logger.error("%r ended with status %d", child, status)
        if not asked:
            self.replaced += 1
            self._failures = self._failures.ended(self._loop.time(), child.served_s())
        child.close()
        self._table.free(child.seat)
        self._ended_lately.append(child)
        self.think()

    # the admin address -------------------------------------------------------------------------------

    async def admit(
        self, listener: Listener, hosts: Sequence[str], tokens: TokenFile, feed: Feed | None
    ) -> None:
        """Answer on the admin address until the end; `feed` has what the supervisor itself logs.

        Raises `ConfigurationError`.
        """
        from pyworkerd.admin.live import Live  # noqa: PLC0415 (start-up time)
        from pyworkerd.admin.site import Site  # noqa: PLC0415 (the same)

        self.feed, self.live = feed, Live(self)
        self._admin = Site(self, hosts, tokens)
        await self._admin.start(listener)
        self.report.admin(Listening("admin", str(listener.address), None))

    def readiness(self) -> tuple[int, int]:
        """See `admin.routes.Server`."""
        wanted = shares(self.settings, self.config).processes
        return 0 if self.stopping else len(self.serving()), wanted

    def describe(self) -> dict[str, Any]:
        """See `admin.routes.Server`."""
        return {
            "pid": os.getpid(),
            "uptime_s": round(self._loop.time() - self._started_at, 3),
            "stopping": self.stopping,
            "replaced": self.replaced,
            "reloading": self._reloading.active,
            "configuration": self.digest,
            "processes": [child.describe() for child in self.children.values()],
        }

    def numbers(self) -> set[int]:
        """See `admin.routes.Server`."""
        return {child.number for child in self.children.values()}

    # asking them -------------------------------------------------------------------------------------

    async def ask(
        self,
        question: str,
        argument: bytes = b"",
        each: Mapping[int, bytes] = MappingProxyType({}),
        seconds: float = ANSWER_S,
    ) -> dict[int, bytes]:
        """Ask all serving processes (see `questions`). By their numbers, those that answered in time. `each` has other
        arguments for some.
        """
        asked = self.serving()
        answers = await asyncio.gather(
            *(
                asyncio.wait_for(child.ask(question, each.get(child.number, argument)), seconds)
                for child in asked
            ),
            return_exceptions=True,
        )
        found = {}
        for child, answer in zip(asked, answers, strict=True):
            if isinstance(answer, bytes):
                found[child.number] = answer
            elif not isinstance(answer, Gone | TimeoutError):
                raise answer
        return found

    async def let_one(self, task: str, argument: bytes, seconds: float) -> bytes | None:
        """Let one serving process do something on a thread (see `questions.TASKS`). None if none could in that time:
        one that is slow is at it still, so nobody else is let do the same beside it.
        """
        for child in self.serving():
            try:
                return await asyncio.wait_for(child.ask(task, argument), seconds)
            except Gone:
                continue
            except TimeoutError:
                return None
        return None

    async def change(self, change: Change) -> None:
        """See `reloading.Reloading.change`."""
        await self._reloading.change(change)

    # another configuration ---------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again, and let all processes go over to it."""
        if not self.stopping:
            self._reloading.request()

    def was_read(self, config: Config) -> None:
        """A configuration could be read, and may be refused: from now on its files are looked at."""
        if self.settings.watch:
            self._seen = config
            self._watched.learn(look(config))

    def not_reloaded(self, faults: Sequence[Fault]) -> None:
        """What is there now cannot work: what was there before goes on."""
        if self.settings.dev is not None:
            from .excerpts import folders_of, with_excerpt  # noqa: PLC0415 (not before something fails)

            folders = folders_of(self._seen)
            faults = [with_excerpt(fault, folders) for fault in faults]
        self._trouble = tuple(faults)
        self.report.not_reloaded(faults)
        for child in self.serving():
            self._tell_trouble(child)

    def mended(self) -> None:
        """What is there now is served."""
        if self._trouble:
            self._trouble = ()
            for child in self.serving():
                self._tell_trouble(child)

    def _tell_trouble(self, child: Child) -> None:
        if self.settings.dev is not None:
            child.tell(Trouble(self._trouble))

    async def _watch(self) -> None:
        while True:
            started = self._loop.time()
            if self._watched.changed(look(self._seen)):
                self.reload()
            await asyncio.sleep(pause_after(self._loop.time() - started))

    # the end -----------------------------------------------------------------------------------------

    def _signals(self, *, install: bool) -> None:
        table = {
            signal.SIGTERM: lambda: self._asked_to_stop(signal.SIGTERM),
            signal.SIGINT: lambda: self._asked_to_stop(signal.SIGINT),
            signal.SIGHUP: self._hang_up,
            signal.SIGCHLD: self._reap,
        }
        for number, then in table.items():
            if install:
                self._loop.add_signal_handler(number, then)
            else:
                self._loop.remove_signal_handler(number)

    def _asked_to_stop(self, number: signal.Signals) -> None:
        """The first time in good order, the second time at once, the third time as the system does it."""
        if not self.stopping:
            self.stop()
            return
        self._status = 128 + number
        for child in self.children.values():
            child.hurry(PATIENCE_S)
        for each in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    def _hang_up(self) -> None:
        """A reload is wanted; unless it is the terminal's last word, which nobody would see answered."""
        if self._on_terminal and not os.isatty(2):
            self.stop()
        else:
            self.reload()

    def stop(self) -> None:
        """Let all processes finish what runs, and end."""
        if self.stopping:
            return
        self.stopping = True
        if self._refusal is None:
            self.report.stopping()
        notify(STOPPING)
        self._reloading.stop()
        for listener in self.listeners.values():
            listener.close()
        self.think()

    def _refuse(self, refusal: Refusal) -> None:
        """There is no serving this."""
        self._refusal = self._refusal or refusal
        self.stop()

    async def close(self) -> int:
        """After the last process: wait for the rest of its log. Returns the exit status, or raises `Refusal`."""
        self._turning.cancel()
        if self._watching is not None:
            self._watching.cancel()
        self._signals(install=False)
        await self._reloading.aclose()
        if self._admin is not None:
            await self.live.aclose()
            await self._admin.aclose()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await asyncio.gather(*(child.log_is_complete() for child in self._ended_lately))
        if self._refusal is not None:
            raise self._refusal
        return self._status


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # the real-time ones have no names
