"""Bindings that an embedding program gives: plain Python objects, told apart by what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

from pyworkerd_config.model import Binding as Configured
from pyworkerd_config.problems import quote

from pyworkerd.services.base import Target

from .base import Binding, problem
from .callable import CallableBinding
from .registry import configure
from .secret import Secret, SecretBinding
from .service import ServiceBinding
from .values import ValueBinding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd.services.base import Service


class PythonValue(ValueBinding):
    """A value of the embedding program, copied into each isolate."""

    __slots__ = ()

    kind = "value"

    @classmethod
    def configure(cls, configured: Configured) -> NoReturn:
        """Refused: configurations have kinds of their own for values."""
        raise problem(configured.name, configured.place, "a Python value cannot be configured")


def from_python(name: str, value: object) -> Binding:
    """The binding that a Python object stands for, by the first of these that it is:

    - a `Binding` of this name, as it is, or a configured one (`pyworkerd_config.Binding`), by its kind
    - a `Secret`
    - a store or queue of the runtime (`runtime.kv(...)`, `runtime.d1(...)`, `runtime.queue(...)`)
    - a service, or what has one as its `service` (a loaded worker) and perhaps a `target` within it
    - a callable
    - what can be sent over RPC (None, bool, int, float, str, bytes, list, dict, set, datetime), as a copy

    Raises `ConfigurationError` for anything else.
    """
    if isinstance(value, Binding):
        if value.name != name:
            raise problem(name, None, f"the binding given for it is named {quote(value.name)}")
        return value
    if isinstance(value, Configured):
        return configure(replace(value, name=name))
    if isinstance(value, Secret):
        return SecretBinding(name, value)
    bindable = getattr(type(value), "as_binding", None)
    if bindable is not None:
        return cast("Binding", bindable(value, name))
    service = getattr(value, "service", value)
    if _is_service(service):
        target = getattr(value, "target", None)
        return ServiceBinding(name, service, target if isinstance(target, Target) else None)
    return CallableBinding(name, value) if callable(value) else PythonValue(name, value)


def all_from_python(bindings: Mapping[Any, Any]) -> tuple[Binding, ...]:
    """One binding for each name, in order. Raises `ConfigurationError` for a name that is no identifier."""
    for name in bindings:
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
            raise problem(str(name), None, "the name is no identifier", "use letters, digits and underscores")
    return tuple(from_python(name, value) for name, value in bindings.items())


def _is_service(value: object) -> TypeGuard[Service]:
    return all(callable(getattr(value, method, None)) for method in ("fetch", "call")) and not isinstance(
        value, type
    )
