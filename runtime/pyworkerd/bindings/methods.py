"""A capability that is a table of methods: what most bindings are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pyworkerd_isolates import wire

from pyworkerd.errors import NoSuchMethod

from . import arguments as args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd.messages import Request, Response


class Methods:
    """A subclass lists in `methods` what a guest may call, and has a coroutine method for each row.

    Nothing but these rows can be reached by a guest. Arguments arrive checked against the row; what a method
    returns is encoded. A method raises `PyworkerdError` (often `arguments.type_error`) for the guest;
    anything else is a bug.
    """

    __slots__ = ()

    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {}
    """Name of each method, and the name and exact type of each of its parameters."""
    external = False

    async def call(self, method: str, arguments: bytes) -> bytes:
        """See `base.Capability`."""
        parameters = self.methods.get(method)
        if parameters is None:
            raise NoSuchMethod(f"this binding has no method {method[:40]!r}")
        bound = args.bind(method, parameters, args.decode(arguments))
        return wire.dump_value(await getattr(self, method)(**bound))

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Refused: there is nothing here that answers requests."""
        await request.body.aclose()
        raise NoSuchMethod("this binding has no method 'fetch'")

    async def aclose(self) -> None:
        """Nothing to let go of, unless a subclass has something."""
