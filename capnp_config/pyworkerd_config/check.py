"""Cross checks of a model: names that refer to nothing, doubles, values out of range. Pure.

The checks are the same for every dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import partial
from itertools import islice
from posixpath import normpath
from typing import TYPE_CHECKING

from .checks.acme import acme
from .checks.assets import assets
from .checks.extensions import extensions
from .checks.isolation import isolation
from .checks.objects import objects
from .checks.queues import queues
from .checks.rate_limits import rate_limits
from .checks.sockets import ADDRESS_REMEDY, socket_problems
from .checks.stores import stores
from .kinds import BINDING_KINDS, NOT_YET, BindingKinds
from .limits import LIMIT_RANGES, PROCESSES_RANGES, Range
from .model import Binding, Config, External, Limits, Network, Place, Processes, Service, Socket, Worker, flat
from .names import (
    SystemdAddress,
    TcpAddress,
    binding_name_fault,
    date_fault,
    name_fault,
    network_fault,
    parse_address,
    route_fault,
    route_key,
)
from .problems import MAX_PROBLEMS, Problem, did_you_mean, listing, quote
from .toml.bindings import unknown_kind_remedy

if TYPE_CHECKING:
    from pathlib import Path

MAIN_SUFFIXES = (".py", ".js", ".mjs", ".ts", ".mts", ".jsx", ".tsx", ".wasm")
"""What the main file of a worker may end in: the languages of `pyworkerd_isolates.languages`."""
MAX_TAILS = 10
Check = Callable[[Config, BindingKinds], Iterable[Problem]]


def check(config: Config, kinds: BindingKinds = BINDING_KINDS) -> list[Problem]:
    """What in the model cannot work, as far as it can be told without looking at the disk.

    Stops at `MAX_PROBLEMS`: whoever has more has one mistake many times.
    """
    found = (problem for find in _CHECKS for problem in find(config, kinds))
    return list(islice(found, MAX_PROBLEMS))


def workers(config: Config) -> Iterator[tuple[Service, Worker]]:
    """The services that are workers."""
    for service in config.services:
        if isinstance(service.kind, Worker):
            yield service, service.kind


def _names(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    for what, entries in (("socket", config.sockets), ("service", config.services)):
        seen: dict[str, Place] = {}
        for entry in entries:
            at = _at(entry, "name")
            if fault := name_fault(entry.name):
                yield Problem(at, f"{quote(entry.name)} cannot be the name of a {what}", fault)
            if entry.name in seen:
                yield Problem(
                    at, f"two {what}s are named {quote(entry.name)}", f"the other is at {seen[entry.name]}"
                )
            seen.setdefault(entry.name, at)


def _sockets(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    routed = any(service.routes for service in config.services)
    names = _service_names(config)
    for socket in config.sockets:
        yield from socket_problems(socket, partial(_at, socket))
        if socket.service is not None:
            yield from _reference(names, socket.service, _at(socket, "service"))
        elif not routed:
            message = (
                f"socket {quote(socket.name)} leads nowhere: it has no service, and no service has routes"
            )
            yield Problem(_at(socket), message, 'write service = "..." here, or routes = ["/*"] in a service')


def _routes(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for service in config.services:
        for i, route in enumerate(service.routes):
            if fault := route_fault(route):
                remedy = f'{fault}; write for example "/api/*" or "shop.example.com/*"'
                yield Problem(_at(service, "routes", i), f"malformed route {quote(route)}", remedy)
            owner = owners.setdefault(route_key(route), service.name)
            if owner != service.name:
                message = (
                    f"services {quote(owner)} and {quote(service.name)} have the same route {quote(route)}"
                )
                yield Problem(_at(service, "routes", i), message, "leave one of them out")


def _networks(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    for service in config.services:
        if not isinstance(service.kind, Network):
            continue
        for key, entries in (("allow", service.kind.allow), ("deny", service.kind.deny)):
            for i, entry in enumerate(entries):
                if fault := network_fault(entry):
                    yield Problem(_at(service, "network", key, i), f"malformed network {quote(entry)}", fault)


def _externals(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    for service in config.services:
        if not isinstance(service.kind, External):
            continue
        address, at = parse_address(service.kind.address), _at(service, "external", "address")
        if address is None or isinstance(address, SystemdAddress):
            yield Problem(at, f"malformed address {quote(service.kind.address)}", ADDRESS_REMEDY)
        elif isinstance(address, TcpAddress) and (address.port == 0 or address.host == "*"):
            yield Problem(
                at, f"nothing can be reached at {quote(service.kind.address)}", "name one host and port"
            )


def _programs(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    names = _service_names(config)
    programs = frozenset(service.name for service, _ in workers(config))
    for service, worker in workers(config):
        if worker.main.suffix not in MAIN_SUFFIXES:
            message = f"{quote(worker.main.name)} ends in none of {', '.join(MAIN_SUFFIXES)}"
            yield Problem(_at(service, "worker", "main"), message, 'write for example main = "src/shop.py"')
        if not _is_below(worker.main, worker.root):
            message = f"the main file {quote(worker.main.name)} does not lie below the worker's root"
            yield Problem(_at(service, "worker", "root"), message, "name a folder that the main file lies in")
        if worker.compatibility_date is not None and date_fault(worker.compatibility_date):
            message = f"{quote(worker.compatibility_date)} is not a date"
            remedy = 'write for example compatibility_date = "2026-11-01"'
            yield Problem(_at(service, "worker", "compatibility_date"), message, remedy)
        yield from _crons(service, worker)
        yield from _tails(names, programs, service, worker)
        if worker.global_outbound is not None:
            yield from _reference(names, worker.global_outbound, _at(service, "worker", "global_outbound"))


def _is_below(path: Path, folder: Path) -> bool:
    """As far as names tell; links are followed when the files are read."""
    inside, outer = normpath(path.absolute()), normpath(folder.absolute())
    return inside.startswith(outer.rstrip("/") + "/")


def _crons(service: Service, worker: Worker) -> Iterator[Problem]:
    if not worker.crons:
        return
    from .cron import MAX_CRONS, Cron, CronError  # noqa: PLC0415 (start-up time)

    if len(worker.crons) > MAX_CRONS:
        message = f"a worker has {MAX_CRONS} cron expressions at most, found {len(worker.crons)}"
        yield Problem(_at(service, "worker", "crons"), message, "run several things at the same times")
        return
    for place, expression in enumerate(worker.crons):
        try:
            Cron(expression)
        except CronError as error:
            yield Problem(_at(service, "worker", "crons", place), error.message, error.remedy)


def _tails(
    names: frozenset[str], programs: frozenset[str], service: Service, worker: Worker
) -> Iterator[Problem]:
    at = partial(_at, service, "worker", "tails")
    if len(worker.tails) > MAX_TAILS:
        message = f"a worker has {MAX_TAILS} tail workers at most, found {len(worker.tails)}"
        yield Problem(at(), message, "let one of them tell the others")
        return
    for place, name in enumerate(worker.tails):
        yield from _reference(names, name, at(place))
        if name in names and name not in programs:
            yield Problem(
                at(place), f"the service {quote(name)} is no worker", "a tail is a worker with a tail handler"
            )
        if name in worker.tails[:place]:
            yield Problem(at(place), f"{quote(name)} stands in tails twice", "leave one of them out")


def _limits(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    sound: set[Limits] = set()
    for service, worker in workers(config):
        if worker.limits not in sound:
            faults = list(_limit_faults(service, worker.limits))
            yield from faults
            if not faults:
                sound.add(worker.limits)


def _limit_faults(service: Service, limits: Limits) -> Iterator[Problem]:
    for limit in fields(Limits):
        if fault := _range_fault(limit.name, getattr(limits, limit.name), LIMIT_RANGES[limit.name]):
            at = _at(service, "worker", "limits", limit.name)
            yield Problem(at, fault, f"the default is {limit.default}")


def _processes(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    for entry in fields(Processes):
        value = getattr(config.processes, entry.name)
        if value is not None and (fault := _range_fault(entry.name, value, PROCESSES_RANGES[entry.name])):
            remedy = "leave it out" if entry.default is None else f"the default is {entry.default}"
            yield Problem(_at(config, "processes", entry.name), fault, remedy)


def _range_fault(name: str, value: int, allowed: Range) -> str | None:
    if allowed.minimum <= value <= allowed.maximum:
        return None
    return f"{quote(name)} must be from {allowed.minimum} to {allowed.maximum}, found {value}"


def _admin(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    if config.admin is not None and parse_address(config.admin.address) is None:
        message = f"malformed address {quote(config.admin.address)}"
        yield Problem(_at(config, "admin"), message, ADDRESS_REMEDY)


def _bindings(config: Config, kinds: BindingKinds) -> Iterator[Problem]:
    names = _service_names(config)
    for service, worker in workers(config):
        seen: set[str] = set()
        for binding in (*worker.bindings, *_assets_binding(service, worker)):
            if binding.name in seen:
                yield Problem(binding.place, f"two bindings are named {quote(binding.name)}", "rename one")
            seen.add(binding.name)
            for each in flat((binding,)):
                yield from _binding(names, each, kinds)


def _assets_binding(service: Service, worker: Worker) -> Iterator[Binding]:
    """The name that `assets` takes on `env`, to be checked as those of bindings are."""
    if worker.assets is not None and worker.assets.binding is not None:
        place = _at(service, "worker", "assets", "binding")
        yield Binding(worker.assets.binding, "text", "", place=place)


def _binding(names: frozenset[str], binding: Binding, kinds: BindingKinds) -> Iterator[Problem]:
    if fault := binding_name_fault(binding.name):
        message = f"{quote(binding.name)} cannot be the name of a binding: {fault}"
        yield Problem(binding.place, message, "write for example API_KEY")
    description = kinds.get(binding.kind)
    if description is None:
        yield _unknown_kind(binding, kinds)
        return
    for option in binding.options.keys() - description.options.keys():
        message = f"a {binding.kind} binding has no {quote(option)}"
        yield Problem(binding.place, message, _options_remedy(option, description.options))
    if description.value == "service":
        yield from _reference(names, binding.value, binding.place)
    for option, kind in description.options.items():
        if kind == "service" and isinstance(named := binding.options.get(option), str):
            yield from _reference(names, named, binding.place)


def _options_remedy(option: str, known: Iterable[str]) -> str:
    known = list(known)
    return did_you_mean(option, known, f"it has {listing(known, 'and')}" if known else "leave it out")


def _unknown_kind(binding: Binding, kinds: BindingKinds) -> Problem:
    if binding.kind in NOT_YET:
        message = f"{quote(binding.kind)} bindings are not in this version yet"
        return Problem(binding.place, message, "leave it out")
    message = f"unknown binding kind {quote(binding.kind)}"
    return Problem(binding.place, message, unknown_kind_remedy(binding.kind, kinds))


def _service_names(config: Config) -> frozenset[str]:
    return frozenset(service.name for service in config.services)


def _reference(names: frozenset[str], name: str, place: Place) -> Iterator[Problem]:
    if name not in names:
        known = f"there are {listing(sorted(names)[:10], 'and')}" if names else "there are no services"
        yield Problem(place, f"unknown service {quote(name)}", did_you_mean(name, names, known))


def _at(entry: Service | Socket | Config, *path: str | int) -> Place:
    """Where a part of an entry was written; models made without a file have only the entry's own place."""
    return entry.places.at(*path) if entry.places.lines else entry.place


_CHECKS: tuple[Check, ...] = (
    _names,
    _sockets,
    acme,
    _routes,
    rate_limits,
    _networks,
    _externals,
    _programs,
    _limits,
    _bindings,
    assets,
    stores,
    objects,
    isolation,
    extensions,
    queues,
    _admin,
    _processes,
)
