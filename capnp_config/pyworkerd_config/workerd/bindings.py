"""Reads the bindings of a worker in workerd's dialect. Pure."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Binding
from pyworkerd_config.problems import Remedy, did_you_mean, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .values import Struct

PARAMETER: Final = "parameter"
"""Kind of a binding that another worker has to fill in; none of those in the model."""


def read_bindings(worker: Struct, field: str = "bindings") -> tuple[Binding, ...]:
    """All of them, parameters included. Those that are wrong are reported and left out."""
    found = (read_binding(each) for each in worker.structs(field))
    return tuple(each for each in found if each is not None)


def read_binding(binding: Struct) -> Binding | None:
    """One of them."""
    name, place = binding.text("name"), binding.where.place
    for kind, read in _READERS.items():
        if binding.has(kind):
            made = read(binding, kind)
            return None if made is None else replace(made, name=name, place=place)
    return None  # refused by the tables


def filled(abstract: tuple[Binding, ...], worker: Struct, given: tuple[Binding, ...]) -> tuple[Binding, ...]:
    """The bindings of a worker that inherits: those of the other one, with its own in their places.

    Each has to have the name and the type of one that is there (workerd.capnp, Worker.inherit).
    """
    known = {each.name: each for each in abstract}
    report = worker.document.problems.report
    for own in given:
        there = known.get(own.name)
        if there is None:
            remedy: Remedy = partial(
                did_you_mean, own.name, known, "a worker that inherits can only replace what is there"
            )
            report(own.place, f"the worker that is inherited has no binding {quote(own.name)}", remedy)
            continue
        wanted = there.value if there.kind == PARAMETER else there.kind
        if own.kind != wanted:
            remedy = f"write one of the type {_WORDS.get(wanted, wanted)}"
            message = f"the binding {quote(own.name)} is of another type where it is inherited from"
            report(own.place, message, remedy)
            continue
        known[own.name] = own
    return tuple(known.values())


def unfilled(bindings: tuple[Binding, ...]) -> list[str]:
    """Names of parameters without which a worker cannot run."""
    return [each.name for each in bindings if each.kind == PARAMETER and not each.options["optional"]]


def concrete(bindings: tuple[Binding, ...]) -> tuple[Binding, ...]:
    """Those that are no parameters."""
    return tuple(each for each in bindings if each.kind != PARAMETER)


def designated(struct: Struct | None) -> tuple[str, dict[str, Any]]:
    """The name of a service, and which entrypoint of it with which props is meant."""
    if struct is None:
        return "", {}
    options: dict[str, Any] = {}
    if entrypoint := struct.text("entrypoint"):
        options["entrypoint"] = entrypoint
    props = struct.struct("props")
    if props is not None and props.has("json"):
        options["props"] = props.json("json")
    return struct.text("name"), options


def _text(binding: Struct, kind: str) -> Binding:
    return Binding("", "text", binding.text(kind))


def _data(binding: Struct, kind: str) -> Binding:
    return Binding("", "data", binding.content(kind))


def _json(binding: Struct, kind: str) -> Binding:
    return Binding("", "json", binding.json(kind))


def _service(binding: Struct, kind: str) -> Binding | None:
    name, options = designated(binding.struct(kind))
    if not name:
        binding.report("the binding names no service", f'write {kind} = "auth"', kind)
        return None
    return Binding("", "service", name, options)


def _object(binding: Struct, kind: str) -> Binding | None:
    struct = binding.struct(kind)
    name = "" if struct is None else struct.text("className")
    if struct is None or not name:
        binding.report("the binding names no class", f'write {kind} = "Room"', kind)
        return None
    service = struct.text("serviceName")
    return Binding("", "durable_object", name, {"service_name": service} if service else {})


def _environment(binding: Struct, kind: str) -> Binding | None:
    name = binding.text(kind)
    if not name:
        binding.report("the binding names no variable", f'write {kind} = "HOME"', kind)
        return None
    return Binding("", "environment", name)


def _loader(_binding: Struct, _kind: str) -> Binding:
    return Binding("", "worker_loader", {})


def _wrapped(binding: Struct, kind: str) -> Binding | None:
    wrapped = binding.struct(kind)
    module = "" if wrapped is None else wrapped.text("moduleName")
    if wrapped is None or not module:
        binding.report("the binding names no module", 'write wrapped = (moduleName = "shop:binding")', kind)
        return None
    inner = read_bindings(wrapped, "innerBindings")
    if any(each.kind == PARAMETER for each in inner):
        wrapped.report("inner bindings cannot be parameters", "write what each of them is", "innerBindings")
    options: dict[str, Any] = {"bindings": concrete(inner)} if inner else {}
    if (entrypoint := wrapped.text("entrypoint")) not in ("", "default"):
        options["entrypoint"] = entrypoint
    return Binding("", "wrapped", module, options)


def _parameter(binding: Struct, kind: str) -> Binding | None:
    parameter = binding.struct(kind)
    kinds = None if parameter is None else parameter.struct("type")
    if parameter is None or kinds is None:
        binding.report("the parameter has no type", "write parameter = (type = (text = void))", kind)
        return None
    wanted = kinds.choice(*_TYPES)
    if wanted is None:
        return None  # refused by the tables
    return Binding("", PARAMETER, _TYPES[wanted], {"optional": parameter.flag("optional")})


_READERS: Final[Mapping[str, Callable[[Struct, str], Binding | None]]] = {
    "text": _text,
    "data": _data,
    "json": _json,
    "service": _service,
    "durableObjectNamespace": _object,
    "fromEnvironment": _environment,
    "workerLoader": _loader,
    "wrapped": _wrapped,
    "parameter": _parameter,
}
_TYPES: Final[Mapping[str, str]] = {
    "text": "text",
    "data": "data",
    "json": "json",
    "service": "service",
    "durableObjectNamespace": "durable_object",
}
"""Kinds of bindings by the types of parameters."""
_WORDS: Final = {kind: word for word, kind in _TYPES.items()}
