"""A supervised server, from its configuration to its exit status. The only place that forks."""

from __future__ import annotations

import asyncio
import os
import selectors
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO, cast

from pyworkerd.bindings.rate_limit.shared import SharedCounters
from pyworkerd.observe import logs
from pyworkerd.observe.own import OwnLogs
from pyworkerd.problems import warn_of
from pyworkerd.server import bind, bind_socket
from pyworkerd.serving import key_of

from .deployed import read
from .forking import fork, open_descriptors
from .output import Output
from .reports import Json, Readable
from .serving_process import serve
from .settings import feed_of
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd_config import Config

    from pyworkerd.admin.tokens import TokenFile
    from pyworkerd.server import Listener

    from .reports import Reports
    from .settings import Settings

LAST_WORDS_S: Final = 2.0
"""For a slow reader of the log, at the very end."""


def run(settings: Settings) -> int:
    """Serve until a signal comes. In the main thread of a process that has no other.

    Raises `ConfigError` or `ConfigurationError`, or what a serving process refuses as `Refusal`.
    """
    out, err = Output(1), Output(2)
    report = _report(settings, out, err)
    counters = SharedCounters()
    before = open_descriptors()
    with ExitStack() as closing:
        closing.callback(err.finish, LAST_WORDS_S)
        closing.callback(out.finish, LAST_WORDS_S)
        config = read(settings.load()).config
        listeners = _bind(config, settings.bound)
        for listener in listeners.values():
            closing.callback(listener.close)
        admin = _admin(settings, config)
        if admin is not None:
            closing.callback(admin[0].close)
        feed = feed_of(settings, config)
        closing.enter_context(OwnLogs(_sink(settings, err), *((feed,) if feed is not None else ())))
        warn_of(config)
        # asyncio's own loop: what uvloop keeps in C could not be left alone after a fork.
        loop = asyncio.SelectorEventLoop(selectors.DefaultSelector())
        out.attach(loop)
        err.attach(loop)
        closing.callback(loop.close)
        supervisor = loop.run_until_complete(_make(settings, config, listeners, report, err, counters))
        if admin is not None:
            loop.run_until_complete(supervisor.admit(*admin, feed))
        while (inherited := loop.run_until_complete(supervisor.next_fork())) is not None:
            shared = before | {e.fileno() for each in inherited.listeners.values() for e in each.sockets}
            try:
                forked = fork(partial(serve, inherited=inherited), shared)
            except OSError as error:
                loop.call_soon(supervisor.could_not_fork, error, inherited.seat)
            else:
                loop.call_soon(supervisor.forked, forked, inherited.seat)
        return loop.run_until_complete(supervisor.close())


async def _make(
    settings: Settings,
    config: Config,
    listeners: Mapping[str, Listener],
    report: Reports,
    log: Output,
    counters: SharedCounters,
) -> Supervisor:
    return Supervisor(settings, config, listeners, report, log, counters)


def _admin(settings: Settings, config: Config) -> tuple[Listener, Sequence[str], TokenFile] | None:
    """The admin address, bound, the names that it has, and its tokens. A Unix socket is the operator's alone."""
    address = settings.admin or (config.admin.address if config.admin is not None else None)
    if address is None:
        return None
    from pyworkerd.admin.tokens import VARIABLE, TokenFile, from_environment  # noqa: PLC0415 (start-up time)

    of_environment = from_environment(os.environ.get(VARIABLE))
    tokens = TokenFile(config.admin.tokens if config.admin is not None else None, of_environment)
    before = os.umask(0o177)
    try:
        return bind(address), config.admin.hosts if config.admin is not None else (), tokens
    finally:
        os.umask(before)


def _bind(config: Config, bound: Mapping[str, Listener]) -> dict[str, Listener]:
    listeners: dict[str, Listener] = {}
    try:
        for socket in config.sockets:
            key = key_of(socket)
            listeners[key] = bound[key].share() if key in bound else bind_socket(socket)
    except BaseException:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


def _report(settings: Settings, out: Output, err: Output) -> Reports:
    if settings.dev is None:
        return Json(out) if settings.json else Readable(out, err)
    from .dev_reports import DevReports  # noqa: PLC0415 (start-up time)

    return DevReports(out, err, colour=settings.colour)


def _sink(settings: Settings, stream: Output) -> logs.LogSink:
    text = cast("TextIO", stream)  # all of it that is used
    return logs.FORMATS[settings.log](text, settings.colour)
