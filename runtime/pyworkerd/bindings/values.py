"""What the bindings that are plain values have in common: encoded once, when they are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Binding, Value, problem

if TYPE_CHECKING:
    from pyworkerd_config.model import Place

    from .base import Grant, Host


class ValueBinding(Binding):
    """A value that is known when the configuration is read."""

    __slots__ = ("_grant",)

    def __init__(self, name: str, value: object, place: Place | None = None) -> None:
        """Raises `ConfigurationError` if the value cannot be sent to a guest."""
        super().__init__(name, place)
        try:
            self._grant = Value.of(value)
        except (TypeError, ValueError) as error:
            raise problem(name, place, str(error)) from None

    async def prepare(self, host: Host) -> Grant:  # noqa: ARG002
        """Needs nothing of the host."""
        return self._grant
