"""`NAME = { wrapped = "shop:binding", bindings = { ... } }`: what an extension's function makes of other bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd_isolates import wire

from pyworkerd.bindings.base import Binding, Wrapped, problem, text_of

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host

DEFAULT = "default"


class WrappedBinding(Binding):
    """Whatever the function returns; the inner bindings are for the function alone (workerd.capnp, WrappedBinding)."""

    __slots__ = ("_entrypoint", "_module", "inner")

    kind = "wrapped"

    def __init__(
        self,
        name: str,
        module: str,
        inner: tuple[Binding, ...] = (),
        entrypoint: str = DEFAULT,
        place: Place | None = None,
    ) -> None:
        super().__init__(name, place)
        self._module, self._entrypoint, self.inner = module, entrypoint, inner

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of an extension's module; that it is there is checked with the whole configuration."""
        from pyworkerd.bindings.registry import configure_all  # noqa: PLC0415 (it knows this class)

        module = text_of(
            configured, "the value is not the name of a module", 'write { wrapped = "shop:binding" }'
        )
        entrypoint = configured.options.get("entrypoint", DEFAULT)
        if not isinstance(entrypoint, str) or not entrypoint:
            raise problem(
                configured.name,
                configured.place,
                "the entrypoint is not the name of a function",
                "leave it out",
            )
        inner = configure_all(configured.options.get("bindings", ()))
        return cls(configured.name, module, inner, entrypoint, configured.place)

    async def prepare(self, host: Host) -> Grant:  # noqa: ARG002
        """Needs nothing of the host; the inner bindings are prepared for themselves."""
        return Wrapped(wire.dump_value({"module": self._module, "entrypoint": self._entrypoint}))
