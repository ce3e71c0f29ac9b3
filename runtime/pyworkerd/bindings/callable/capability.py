"""A function of the program around the runtime, as a capability. See `functions` for how it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.errors import NoSuchMethod
from pyworkerd.services.stubs import Carried

from .functions import Functions, encode_result, is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Request, Response


class CallableCapability:
    """One function. An abandoned call is cancelled, but a thread runs on and its result is dropped."""

    __slots__ = ("_function", "_functions", "_waits")

    external = False
    reads = True

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._functions = Functions()
        self._waits = is_coroutine_function(function)

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Call the function. Arguments are limited as RPC's are (32 MiB), but see `arguments.MAX_TEXT`."""
        if method != "call":
            raise NoSuchMethod(f"this binding has no method {method[:40]!r}")
        if type(arguments) is Carried:
            from pyworkerd.stubs import call  # noqa: PLC0415 - which most functions do without

            return await call(self._functions, self._function, arguments)
        positional, named = args.decode(arguments, wire.MAX_VALUE)
        result = await self._functions.run(self._function, positional, named, waits=self._waits)
        return encode_result(result, _write)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Refused: a function does not answer requests."""
        await request.body.aclose()
        raise NoSuchMethod("this binding has no method 'fetch'")

    async def aclose(self) -> None:
        """Calls that wait for a thread are dropped; those that run end by themselves."""
        self._functions.close()


def _write(value: object) -> bytes:
    try:
        return wire.dump_value(value)
    except TypeError:  # something to lend, perhaps
        from pyworkerd.stubs import write  # noqa: PLC0415 - which most functions do without

        return write(value)
