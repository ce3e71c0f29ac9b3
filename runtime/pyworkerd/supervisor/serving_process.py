"""One serving process from inside: it serves what it inherited, does what the supervisor says, and tells how it is."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import signal
import socket
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from pyworkerd_config import ConfigError
from pyworkerd_isolates.errors import IsolateError

from pyworkerd.bindings.rate_limit.counters import RateLimits
from pyworkerd.bindings.rate_limit.shared import SharedRateLimits
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import ConfigurationError
from pyworkerd.interpreter import interval
from pyworkerd.observe import logs
from pyworkerd.observe.background import Background
from pyworkerd.observe.own import ROOTS, OwnLogs
from pyworkerd.problems import FAILED, Fault, faults_of, status_of
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import Balance, Listener
from pyworkerd.server.address import parse_address
from pyworkerd.serving import Prepared as Beside
from pyworkerd.serving import Serving

from .channel import Channel
from .deployed import made_of
from .messages import (
    Answer,
    Ask,
    Beat,
    Deployed,
    Discard,
    Drain,
    Hurry,
    Leaving,
    Prepare,
    Prepared,
    Progress,
    Ready,
    Refused,
    Switch,
    Switched,
)
from .messages import Trouble as Told
from .questions import QUESTIONS, TASKS
from .settings import Inheritance, feed_of, shares
from .trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from pyworkerd_config import Config

    from pyworkerd.observe.feed import Feed
    from pyworkerd.observe.otel import Telemetry
    from pyworkerd.server.address import TcpAddress, UnixAddress
    from pyworkerd.services.base import Service

    from .messages import BoundSocket, ControlError, FromSupervisor

logger = logging.getLogger("pyworkerd.supervisor")

BEAT_S: Final = 0.5
"""Between two signs of life. `hang_s` is at least four times as long."""
_UNFORESEEN: Final = Fault("it failed in a way that nobody has foreseen: the log of the server has more")
DUMP: Final = signal.SIGUSR2
"""Makes a process write what all its threads are doing to its log: the supervisor sends it before it kills."""


def serve(end: socket.socket, inherited: Inheritance) -> int:
    """Serve until told to stop; in a process that was just forked for it. Returns the exit status."""
    faulthandler.register(DUMP)
    for name in ROOTS:
        logging.getLogger(name).handlers.clear()  # the supervisor's
    settings = inherited.settings
    stream = sys.stderr
    lines = logs.FORMATS[settings.log](stream, settings.colour)
    feed = feed_of(settings, inherited.config)
    with (
        closing(Background(lines.write)) as background,
        OwnLogs(background, *((feed,) if feed is not None else ())),
        asyncio.Runner(loop_factory=settings.make_loop) as runner,
    ):
        return runner.run(_serve(end, inherited, background, feed))


async def _serve(end: socket.socket, inherited: Inheritance, sink: Background, feed: Feed | None) -> int:
    return await ServingProcess(end, inherited, sink, feed).run()


class ServingProcess:
    """Made and run inside its event loop."""

    def __init__(
        self, end: socket.socket, inherited: Inheritance, sink: Background, feed: Feed | None
    ) -> None:
        self._settings = inherited.settings
        self._listeners = inherited.listeners
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(end, supervisor=False, received=self._received, ended=self._lost)
        share = shares(self._settings, inherited.config)
        limits = FleetLimits(
            memory=share.isolates, heaps=share.heaps, process=share.process, threads=share.threads
        )
        trusted = self._settings.allow_trusted
        options = RuntimeOptions(
            limits, sinks=(sink, feed) if feed is not None else (sink,), feed=feed, progress=self._progress,
            allow_trusted=trusted, record=self._settings.record,
        )  # fmt: skip
        self._runtime = Runtime(inherited.config, options)
        limits_of_all = SharedRateLimits(inherited.counters)
        self._runtime.shared.provide(RateLimits, limits_of_all)  # type: ignore[type-abstract]
        self._trouble = Trouble(self._settings.dev) if self._settings.dev is not None else None
        log = sink if self._trouble is None else self._trouble.leaves_out(sink)
        server = replace(self._settings.server, access_log=log if self._settings.access_log else None)
        self._balance = Balance(inherited.seat)
        self._serving = Serving(
            self._runtime,
            server,
            self._balance,
            self._trouble,
            certificates=self._settings.dev is None,
        )
        self._orders: asyncio.Queue[Prepare | Switch | Discard] = asyncio.Queue()
        self._beside: tuple[int, Beside] | None = None
        """What is prepared, and its generation."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._leave, self._hurry = asyncio.Event(), asyncio.Event()
        self._drain_s = self._settings.drain_s
        self._telemetry: Telemetry | None = None

    async def run(self) -> int:
        """See `serve`."""
        self._loop.add_signal_handler(signal.SIGTERM, self._told_to_end)
        beating = asyncio.create_task(self._beat())
        try:
            status = await self._serve()
            await self._channel.flush()
        finally:
            beating.cancel()
            await self._serving.aclose()
            if self._telemetry is not None:
                await self._telemetry.aclose()
            await self._runtime.aclose()
            self._channel.close()
        return status

    def _told_to_end(self) -> None:
        self._channel.send(Leaving())
        self._leave.set()

    async def _serve(self) -> int:
        try:
            if not await _unless(self._leave, self._start()):
                return 0
        except (ConfigError, ConfigurationError, IsolateError) as error:
            return self._refuse(0, error)
        obeying = asyncio.create_task(self._obey())
        await self._leave.wait()
        obeying.cancel()
        await asyncio.wait([obeying])
        await _unless(self._hurry, self._serving.drain(self._drain_s))
        return 0

    async def _start(self) -> None:
        if self._settings.otel:
            from pyworkerd.observe.otel import Telemetry  # noqa: PLC0415 (half a second, and only with --otel)

            self._telemetry = Telemetry(self._serving.metrics)
            self._telemetry.start()
        await self._runtime.open()
        await self._serving.start({name: each.share() for name, each in self._listeners.items()})
        interval.manage()
        gc.freeze()  # what is here now stays: no later collection has to look through it
        self._channel.send(Ready(self._runtime.digest(), _deployed(self._runtime.services)))

    def _progress(self, step: str) -> None:
        """The engine is being built, on a thread."""
        self._loop.call_soon_threadsafe(self._channel.send, Progress(step))

    def _refuse(self, generation: int, error: Exception) -> int:
        status = status_of(error) or 1
        self._channel.send(Refused(generation, status, tuple(faults_of(error))))
        return status

    async def _beat(self) -> None:
        while True:
            self._balance.refresh()
            figures = self._serving.statistics().values()
            self._channel.send(
                Beat(
                    sum(each.connections_now for each in figures),
                    sum(each.active_now for each in figures),
                    sum(each.requests for each in figures),
                    self._runtime.statistics().isolates,
                )
            )
            await asyncio.sleep(BEAT_S)

    # the supervisor's word ---------------------------------------------------------------------------

    def _received(self, message: FromSupervisor) -> None:
        match message:
            case Drain(milliseconds):
                self._drain_s = milliseconds / 1000
                self._leave.set()
            case Hurry():
                self._leave.set()
                self._hurry.set()
            case Ask(number, question, argument) if question in TASKS:
                task = self._loop.create_task(self._perform(number, question, argument))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Ask(number, question, argument):
                self._channel.send(Answer(number, self._answer(question, argument)))
            case Told(faults):
                if self._trouble is not None:
                    self._trouble.faults = faults
            case Prepare() | Switch() | Discard():
                self._orders.put_nowait(message)

    def _answer(self, question: str, argument: bytes) -> bytes:
        answer = QUESTIONS.get(question)
        return answer(self._serving, argument) if answer is not None else b""

    async def _perform(self, number: int, question: str, argument: bytes) -> None:
        try:
            answer = await self._runtime.fleet.run(TASKS[question], argument)
        except Exception:
            logger.exception("a task of the supervisor's failed: %s", question)
            answer = b""
        self._channel.send(Answer(number, answer))

    def _lost(self, error: ControlError | None) -> None:
        if not self._leave.is_set():
            logger.error("the supervisor has gone (%s): finishing what runs", error or "killed?")
        self._leave.set()

    async def _obey(self) -> None:
        """One order after the other."""
        try:
            while True:
                match await self._orders.get():
                    case Prepare(_, sockets) as message:
                        await self._prepare(message, self._take(sockets))
                    case Switch(generation) if self._beside is not None and self._beside[0] == generation:
                        beside, self._beside = self._beside[1], None
                        await self._serving.switch(beside)
                        self._channel.send(Switched(generation))
                    case Discard():
                        await self._discard()
        except Exception:
            # The supervisor waits for an answer to each order, and would for ever.
            logger.exception(
                "an order of the supervisor's failed: finishing what runs, for another process to come"
            )
            self._told_to_end()
        finally:
            await self._discard()

    async def _discard(self) -> None:
        if self._beside is not None:
            beside, self._beside = self._beside[1], None
            await self._serving.discard(beside)

    def _take(self, sockets: tuple[BoundSocket, ...]) -> dict[str, Listener]:
        """The sockets that came with a message."""
        return {
            each.name: Listener(
                cast("TcpAddress | UnixAddress", parse_address(each.address)),
                tuple(
                    socket.socket(fileno=self._channel.descriptors.popleft()) for _ in range(each.descriptors)
                ),
            )
            for each in sockets
        }

    async def _prepare(self, message: Prepare, bound: Mapping[str, Listener]) -> None:
        await self._discard()
        try:
            await self._prepare_unless(message, bound)
        except Exception:
            # What nobody has foreseen, of what somebody uploads perhaps: no reason to end what others are served by.
            logger.exception("what was to be prepared failed")
            self._channel.send(Refused(message.generation, FAILED, (_UNFORESEEN,)))

    async def _prepare_unless(self, message: Prepare, bound: Mapping[str, Listener]) -> None:
        generation = message.generation
        try:
            config = await self._runtime.fleet.run(self._load, message)
            self._beside = (generation, await self._serving.prepare(config, bound, message.only))
        except (ConfigError, ConfigurationError, IsolateError) as error:
            self._refuse(generation, error)
            return
        if message.trial and (fault := await self._try(message.trial, self._beside[1])) is not None:
            self._channel.send(Refused(generation, FAILED, (Fault(fault),)))
            return
        prepared = self._beside[1].generation
        self._channel.send(Prepared(generation, prepared.digest(), _deployed(prepared.services)))

    def _load(self, message: Prepare) -> Config:
        """The configuration as it is now, or is served, and what was deployed on top of it."""
        return made_of(self._runtime.config if message.only else self._settings.load(), message.lives)

    async def _try(self, trial: bytes, prepared: Beside) -> str | None:
        from pyworkerd.versions.trial import run  # noqa: PLC0415 (not before somebody deploys)

        return await run(trial, prepared.generation)


def _deployed(services: Mapping[str, Service]) -> tuple[Deployed, ...]:
    return tuple(
        Deployed(name, int(service.image.deploy_ms * 1000), service.image.built)
        for name, service in services.items()
        if isinstance(service, Worker)
    )


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do it, unless the event comes first: then it is cancelled. Returns whether it was done."""
    doing, waiting = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait((doing,))
    if doing.cancelled():
        return False
    doing.result()
    return True
