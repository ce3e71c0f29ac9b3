"""Objects of the process that bindings of many workers share: one of each type, made when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What can be shared."""

    async def aclose(self) -> None:
        """Let go of everything. No use follows."""


T = TypeVar("T", bound=Closable)


class Shared:
    """A registry by interface. Whoever asks brings the provider to use if none was set before."""

    def __init__(self) -> None:
        self._objects: dict[type[Any], Closable] = {}

    def provide(self, interface: type[T], provider: T) -> None:
        """Choose the provider of an interface before anybody asks. Raises ValueError if it is too late."""
        if interface in self._objects:
            raise ValueError(f"there already is a provider of {interface.__name__}")
        self._objects[interface] = provider

    def get(self, interface: type[T], default: Callable[[], T]) -> T:
        """The provider of an interface, made by `default` if there is none yet."""
        found = self._objects.get(interface)
        if found is None:
            found = self._objects[interface] = default()
        return cast("T", found)

    async def aclose(self) -> None:
        """Close all of them, the newest first. Once, when the process has no workers any more."""
        while self._objects:
            _, last = self._objects.popitem()
            await last.aclose()
