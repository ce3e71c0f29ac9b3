"""The resources that a program holds: numbers that it was given, and what they stand for. No I/O.

Numbers are the program's word for things, so each is looked up, and has to be of the kind that the question is about.
One that is forged, or was given up, ends the isolate as the canonical ABI says (it traps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pyworkerd_isolates.errors import Trap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_HANDLES: Final = 10_000
"""Of one isolate at once: each costs the host some hundred bytes."""

Kind = TypeVar("Kind")


class Resource:
    """Something that a program can hold."""

    __slots__ = ()

    def dropped(self) -> None:
        """The program holds it no more."""


class Pollable(Resource):
    """Something that can become ready, at a time (nanoseconds) or by an event, or whichever comes first."""

    __slots__ = ("_due_ns", "_is_ready", "_want")

    def __init__(
        self,
        is_ready: Callable[[], bool] | None = None,
        want: Callable[[], object] | None = None,
        due_ns: int | Callable[[], int | None] | None = None,
    ) -> None:
        self._is_ready, self._want, self._due_ns = is_ready, want, due_ns

    @property
    def due_ns(self) -> int | None:
        """When it is ready at the latest; None if nobody knows."""
        due = self._due_ns
        return due() if callable(due) else due

    def ready(self, now_ns: int) -> bool:
        """Whether it is."""
        due = self.due_ns
        if due is not None and now_ns >= due:
            return True
        return due is None if self._is_ready is None else self._is_ready()

    def want(self) -> None:
        """Somebody waits for it: say so to whoever makes it ready."""
        if self._want is not None:
            self._want()


class Handles:
    """Those of one isolate."""

    __slots__ = ("_next", "_table")

    def __init__(self) -> None:
        self._table: dict[int, Resource] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._table)

    def add(self, resource: Resource) -> int:
        """The number of something new. Raises `Trap` if there are too many."""
        if len(self._table) >= MAX_HANDLES:
            raise Trap(f"the program holds more than {MAX_HANDLES} resources")
        number, self._next = self._next, self._next + 1
        self._table[number] = resource
        return number

    def get(self, number: int, kind: type[Kind]) -> Kind:
        """What a number stands for. Raises `Trap`."""
        found = self._table.get(number)
        if not isinstance(found, kind):
            raise Trap(f"the program named a {_words(kind)} that it does not have")
        return found

    def take(self, number: int, kind: type[Kind]) -> Kind:
        """The same, and the program holds it no more: it was given away."""
        found = self.get(number, kind)
        del self._table[number]
        return found

    def drop(self, number: int) -> None:
        """The program gives it up. Raises `Trap`."""
        resource = self._table.pop(number, None)
        if resource is None:
            raise Trap("the program gave up a resource that it does not have")
        resource.dropped()

    def all(self) -> Iterable[Resource]:
        """What it holds."""
        return tuple(self._table.values())


def _words(kind: type) -> str:
    name = kind.__name__
    return "".join(f" {x.lower()}" if x.isupper() else x for x in name).strip()
