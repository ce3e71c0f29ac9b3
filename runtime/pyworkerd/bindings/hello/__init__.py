"""`NAME = { hello = "greeting" }`: the template of a binding. Copy this folder to write one.

In the guest (`workers/bindings.py`, shape "hello"): `await env.NAME.greet("you")` is "greeting, you!".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from pyworkerd.bindings.arguments import type_error
from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.bindings.methods import Methods

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host

MAX_NAME: Final = 256
"""Characters of a name to greet: a guest could send a megabyte."""


class HelloBinding(Binding):
    """Stages 1 and 2: what the operator wrote, and what a worker gets for it."""

    __slots__ = ("greeting",)

    kind = "hello"
    shape = "hello"

    def __init__(self, name: str, greeting: str, place: Place | None = None) -> None:
        super().__init__(name, place)
        self.greeting = greeting

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the greeting: a text that is not empty."""
        text = text_of(configured, "the greeting is not a text", 'write { hello = "greeting" }')
        return cls(configured.name, text, configured.place)

    async def prepare(self, host: Host) -> Grant:  # noqa: ARG002
        """Needs nothing of the host."""
        return Access("hello", Hello(self.greeting))


class Hello(Methods):
    """Stages 3 and 4: what a worker's isolates call."""

    __slots__ = ("_greeting",)

    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {"greet": {"name": str}}

    def __init__(self, greeting: str) -> None:
        self._greeting = greeting

    async def greet(self, name: str) -> str:
        """The greeting for `name`. That it is a text was checked; how long it is was not."""
        if len(name) > MAX_NAME:
            raise type_error(f"a name may have {MAX_NAME} characters")
        return f"{self._greeting}, {name}!"
