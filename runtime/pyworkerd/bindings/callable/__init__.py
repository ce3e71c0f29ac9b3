"""A function of the embedding program as a binding. It has no word in a configuration: programs give it.

In the guest: `await env.NAME(1, colour="red")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pyworkerd.bindings.base import Access, Binding, problem

from .capability import CallableCapability

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_config.model import Binding as Configured

    from pyworkerd.bindings.base import Grant, Host


class CallableBinding(Binding):
    """A function on `env`, and one of the program outside. See `CallableCapability` for how it is called."""

    __slots__ = ("_function",)

    kind = "callable"
    shape = "callable"

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__(name)
        self._function = function

    @classmethod
    def configure(cls, configured: Configured) -> NoReturn:
        """Refused: a function cannot be written down."""
        raise problem(
            configured.name,
            configured.place,
            "a callable cannot be configured",
            "give it to `load()` instead",
        )

    async def prepare(self, host: Host) -> Grant:  # noqa: ARG002
        """Needs nothing of the host."""
        return Access("callable", CallableCapability(self._function))
