"""What isolates of every kind have in common, and what there is of a worker once it is deployed as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .heaps import Heap, Heaps
    from .lifecycle import State
    from .native import Instance
    from .protocol import Events, Output


class AnyIsolate(Protocol):
    """What `isolate.Isolate` does, which is the sandbox's: all that its owner needs."""

    state: State
    last_step_ms: float

    @property
    def growth(self) -> int:
        """Bytes by which it has grown since it started."""

    def now_ns(self) -> int:
        """The time of its event loop."""

    def begin(self, events: Events, budget_ms: float) -> None:
        """Hand in events; they are worked at from the first `go_on` on."""

    def go_on(self, slice_ms: float) -> Output | None:
        """Run for about so long. None if the step is not at its end. May raise anything of `errors`."""

    def stop(self) -> None:
        """End it, and break off the step that has begun."""

    def end(self) -> None:
        """End it as soon as no step runs."""

    def trim(self) -> int:
        """Give back memory that it does not need, between steps. Returns how many bytes."""

    def put_away(self, heaps: Heaps) -> Heap:
        """Write down what it has in memory. Raises `HeapError`."""

    def hibernate(self, heaps: Heaps, heap: Heap) -> Instance:
        """Do without its memory."""

    def wake(self, *, wait: bool = True) -> bool:
        """Have it back. Returns whether it has."""


class Deployed(Protocol):
    """What `image.Image` tells, which is the sandbox's."""

    @property
    def name(self) -> str:
        """Equal for two that are made of the same."""

    @property
    def memory_size(self) -> int:
        """Of a new isolate, in bytes, as far as it is known."""

    @property
    def handlers(self) -> Mapping[str, tuple[str, ...]]:
        """Those of each entrypoint; "" is the default one."""

    @property
    def objects(self) -> Mapping[str, tuple[str, ...]]:
        """The same of Durable Object classes."""

    @property
    def logs(self) -> tuple[tuple[str, str, str], ...]:
        """What the top level logged: (level, source, message)."""

    @property
    def deploy_ms(self) -> float:
        """How long the deploy took."""

    @property
    def built(self) -> bool:
        """Whether its top level ran for this deploy."""
