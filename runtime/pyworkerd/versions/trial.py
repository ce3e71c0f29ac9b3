"""Whether a new version works, before anybody's request goes to it: run in the first process that has it prepared.

Its image was built by then, so its top level ran. What follows is the first step of an isolate, in which it gets its
bindings and its entrypoint is made; then its `test` handler and a request, if whoever deploys it says so. All of it has
the bindings that the worker has, those of the running server, so neither is run without being asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from pyworkerd_isolates import wire
from pyworkerd_isolates.languages import WASM

from pyworkerd.errors import NoSuchEntrypoint, NoSuchMethod, PyworkerdError
from pyworkerd.messages import Request

if TYPE_CHECKING:
    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.generation import Generation

TIMEOUT_S: Final = 30.0
MAX_BODY: Final = 1 << 20
"""Bytes of the answer that are read."""
_NOTHING: Final = wire.dump_value(None)
_NO_METHOD: Final = "the first step"
"""No program has a method of this name: an isolate has to start to say so."""
_NO_ARGUMENTS: Final = wire.dump_value([[], {}])


class Trial(msgspec.Struct, frozen=True):
    """Which version is tried, and how."""

    service: str
    second: bool
    """Whether it is the second of two versions."""
    path: str | None = None
    """Of a GET request that must not be answered with 500 or above."""
    handler: bool = False
    """Whether its `test` handler has to return."""


def encode(trial: Trial | None) -> bytes:
    """For a serving process."""
    return b"" if trial is None else msgspec.msgpack.encode(trial)


async def run(encoded: bytes, generation: Generation) -> str | None:
    """Why the version does not work; None if it does."""
    trial = msgspec.msgpack.decode(encoded, type=Trial)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            worker = (
                generation.second(trial.service) if trial.second else await generation.wake(trial.service)
            )
            return (
                await _first_step(worker)
                or await _handler(worker, trial)
                or await _request(worker, trial.path)
            )
    except TimeoutError:
        return f"it has not done it within {TIMEOUT_S:g} s"
    except PyworkerdError as error:
        return f"{error.code}: {error}"


async def _first_step(worker: Worker) -> str | None:
    if worker.source is not None and worker.source.language is WASM:
        return None  # it has an instance for each request, and no other way to be asked
    try:
        await worker.call(_NO_METHOD, _NO_ARGUMENTS)
    except (NoSuchMethod, NoSuchEntrypoint):
        return None
    except PyworkerdError as error:
        return f"it does not start: {error.code}: {error}"
    return None


async def _handler(worker: Worker, trial: Trial) -> str | None:
    if not trial.handler:
        return None
    try:
        await worker.handle("test", _NOTHING)
    except PyworkerdError as error:
        return f"its test handler failed: {error.code}: {error}"
    return None


async def _request(worker: Worker, path: str | None) -> str | None:
    if path is None:
        return None
    try:
        response = await worker.fetch(Request("GET", f"http://localhost{path}"))
        await response.read(MAX_BODY)
    except PyworkerdError as error:
        return f"GET {path} failed: {error.code}: {error}"
    return f"GET {path} was answered {response.status}" if response.status >= 500 else None
