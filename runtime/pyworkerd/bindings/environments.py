"""Stage 2 for a whole worker: from its bindings to what fills `env`, and the table of what it may use."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pyworkerd.dispatch.channels import Table

from .base import Access, Wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyworkerd_isolates.protocol import Entry

    from pyworkerd.dispatch.options import WorkerOptions
    from pyworkerd.dispatch.tails import Tails
    from pyworkerd.replay.recorder import Recorder

    from .base import Binding, Capability, Grant, Host


@dataclass(frozen=True, slots=True)
class Environment:
    """What one worker version may use, and nothing else."""

    entries: tuple[Entry, ...] = field(repr=False)
    """For `Events.init` of each of its isolates. Holds secrets: not part of the repr."""
    table: Table
    caches: int | None
    """Index of the capability that the Cache API asks; None if there is none."""
    crypto: int | None
    """The same of `crypto.subtle`."""
    hidden: frozenset[str]
    """Names of those whose values must not be written down."""
    _closing: AsyncExitStack = field(repr=False)

    def complete(
        self, options: WorkerOptions, tails: Tails | None, recorder: Recorder | None
    ) -> WorkerOptions:
        """The options of a worker that has this environment."""
        return replace(
            options,
            caches=self.caches,
            crypto=self.crypto,
            hidden=self.hidden,
            tails=tails,
            recorder=recorder,
        )

    async def aclose(self) -> None:
        """Stage 4 of all bindings, the last first; an exception of one does not keep the others open."""
        await self._closing.aclose()


async def build(
    bindings: Sequence[Binding],
    outbound: Capability | None,
    host: Host,
    caches: Capability | None = None,
    crypto: Capability | None = None,
) -> Environment:
    """Prepare the bindings in their order. `outbound` becomes capability 0, the worker's own `fetch()`; `caches` and
    `crypto` come last.

    Raises `ConfigurationError`, also for a name that is given twice. What was prepared before is closed then.
    """
    async with AsyncExitStack() as closing:
        capabilities: list[Capability | None] = [outbound]
        if outbound is not None:
            closing.push_async_callback(outbound.aclose)
        entries: dict[str, Entry] = {}
        for name, binding in _named(bindings):
            if name in entries:
                raise binding.problem("there already is a binding of this name", "give each its own name")
            grant = await binding.prepare(host)
            if isinstance(grant, Access):
                closing.push_async_callback(grant.capability.aclose)
            entries[name] = _entry(name, grant, capabilities)
        of_caches, of_crypto = (_append(each, capabilities, closing) for each in (caches, crypto))
        hidden = frozenset(name for name, binding in _named(bindings) if binding.hidden)
        return Environment(
            tuple(entries.values()), Table(capabilities), of_caches, of_crypto, hidden, closing.pop_all()
        )


def _named(bindings: Sequence[Binding], prefix: str = "") -> Iterator[tuple[str, Binding]]:
    """Bindings with their names in the table; `shop/PRICES` is for what makes `shop`, and comes before it."""
    for binding in bindings:
        name = f"{prefix}{binding.name}"
        yield from _named(binding.inner, f"{name}/")
        yield name, binding


def _append(
    capability: Capability | None, capabilities: list[Capability | None], closing: AsyncExitStack
) -> int | None:
    if capability is None:
        return None
    closing.push_async_callback(capability.aclose)
    capabilities.append(capability)
    return len(capabilities) - 1


def _entry(name: str, grant: Grant, capabilities: list[Capability | None]) -> Entry:
    if isinstance(grant, Wrapped):
        return name, "wrapped", grant.encoded
    if not isinstance(grant, Access):
        return name, "value", grant.encoded
    capabilities.append(grant.capability)
    index = len(capabilities) - 1
    return (name, grant.shape, index) if grant.details is None else (name, grant.shape, index, grant.details)
