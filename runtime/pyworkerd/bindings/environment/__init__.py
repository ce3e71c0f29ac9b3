"""`NAME = { environment = "HOME" }`: a variable of the process's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Binding, Value, text_of

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host


class EnvironmentBinding(Binding):
    """A `str` on `env`, or None if the variable is not set (workerd.capnp, `fromEnvironment`: null)."""

    __slots__ = ("_variable",)

    kind = "environment"
    hidden = True

    def __init__(self, name: str, variable: str, place: Place | None = None) -> None:
        super().__init__(name, place)
        self._variable = variable

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a variable."""
        text = text_of(
            configured, "the value is not the name of a variable", 'write { environment = "HOME" }'
        )
        return cls(configured.name, text, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Reads the variable once: a later change shows in the next version."""
        return Value.of(host.environment.get(self._variable))
