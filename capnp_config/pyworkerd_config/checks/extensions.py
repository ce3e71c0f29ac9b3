"""Checks of extensions, and of the bindings that are made by them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pyworkerd_config.model import Config, Extension, Service, Worker, flat
from pyworkerd_config.problems import Problem, did_you_mean, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.kinds import BindingKinds

RESERVED: Final = frozenset({"cloudflare", "node", "pyworkerd", "workerd"})
"""Schemes of modules that every worker has."""
WITHOUT: Final = (".py", ".wasm")
"""Main files of workers that know no extensions."""
_PART: Final = r"[A-Za-z0-9_@-][A-Za-z0-9_@.+-]*"
_NAME: Final = re.compile(rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?{_PART}(?:/{_PART})*")


def extensions(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """What is wrong with them."""
    seen: set[str] = set()
    for each in config.extensions:
        yield from _name(each)
        if each.name in seen:
            yield Problem(each.place, f"two extensions are named {quote(each.name)}", "rename one")
        seen.add(each.name)
    for service in config.services:
        if isinstance(service.kind, Worker):
            yield from _wrapped(service, service.kind, seen)


def _name(extension: Extension) -> Iterator[Problem]:
    found = _NAME.fullmatch(extension.name)
    if found is None:
        message = f"{quote(extension.name)} cannot be the name of an extension"
        yield Problem(extension.place, message, "write for example shop:kitchen")
    elif found["scheme"] in RESERVED:
        message = f"{quote(extension.name)} is the name of a module that every worker has, or might have"
        yield Problem(extension.place, message, "begin it with another word")


def _wrapped(service: Service, worker: Worker, known: set[str]) -> Iterator[Problem]:
    for binding in flat(worker.bindings):
        if binding.kind != "wrapped":
            continue
        if worker.main.suffix in WITHOUT:
            message = f"{quote(service.name)} is no worker in JavaScript, which wrapped bindings are for"
            yield Problem(binding.place, message, "bind what it wraps")
        elif binding.value not in known:
            remedy = did_you_mean(str(binding.value), known, "name a module of an extension")
            yield Problem(binding.place, f"there is no extension {quote(str(binding.value))}", remedy)
