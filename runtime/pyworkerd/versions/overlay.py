"""What a configuration becomes with what was deployed on top of it. Pure.

A deployed version brings its files, its main file, its vars (the `text` and `json` bindings), and its static assets if
it has any. All else is the operator's and stays as the configuration has it: which services there are, routes, other
bindings, limits, whether it has a network. A worker that the operator has taken out of the sandbox since has the files
of the configuration: what somebody uploaded runs nowhere else. Secrets that were put for a service are bindings of
their own, and go before values of the same name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Assets, Binding, Rollout, Service, Worker

from .model import CONFIGURED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyworkerd_config.model import Config

    from .model import Live, SiteSettings, Version

SANDBOX: Final = "wasm"
"""The isolation of workers that can be deployed to."""
VAR_KINDS: Final = frozenset(("text", "json"))
"""Kinds of bindings that a deploy may bring."""
SECRET_KINDS: Final = VAR_KINDS | {"secret", "environment"}
"""Kinds that a secret of the same name may take the place of: values. A way to something else is the operator's."""


def overlay(config: Config, lives: Iterable[Live]) -> Config:
    """The same configuration, its services as they were deployed. What is known of other services is left aside."""
    config, by_name = plain(config), {live.service: live for live in lives}
    if not by_name:
        return config
    values = {
        _variable(live.service, name): value
        for live in by_name.values()
        for name, value in live.secrets.items()
    }
    services = tuple(_service(service, by_name.get(service.name)) for service in config.services)
    return replace(config, services=services, secrets={**config.secrets, **values})


def plain(config: Config) -> Config:
    """What a configuration was before anything was deployed on top of it."""
    if not any(service.configured for service in config.services):
        return config
    services = tuple(
        service
        if service.configured is None
        else replace(service, kind=service.configured, version=None, configured=None, rollout=None)
        for service in config.services
    )
    secrets = {name: value for name, value in config.secrets.items() if "\0" not in name}
    return replace(config, services=services, secrets=secrets)


def _service(service: Service, live: Live | None) -> Service:
    if live is None or not isinstance(service.kind, Worker):
        return service
    shares = live.shares if service.kind.isolation == SANDBOX else ((None, 100.0),)
    workers = [_worker(service.kind, live, version) for version, _ in shares]
    rollout = None
    if len(workers) == 2:
        version, percent = shares[1]
        rollout = Rollout(workers[1], version.id if version is not None else CONFIGURED, percent)
    base = shares[0][0]
    return replace(
        service,
        kind=workers[0],
        version=None if base is None else base.id,
        configured=service.kind,
        rollout=rollout,
    )


def _worker(worker: Worker, live: Live, version: Version | None) -> Worker:
    bindings = worker.bindings
    if version is not None:
        root = Path(live.folder) / version.id
        own = [each for each in bindings if each.kind not in VAR_KINDS]
        worker = replace(worker, main=root / version.main, root=root, modules=())
        if version.site is not None:
            folder = Path(live.sites) / version.id
            worker = replace(
                worker, assets=_assets(version.site.settings, folder, {each.name for each in own})
            )
        taken = {each.name for each in own} | _of_assets(worker)
        given = [_var(name, value) for name, value in version.vars.items() if name not in taken]
        bindings = (*own, *given)
    kept = tuple(each for each in bindings if each.name not in live.secrets or each.kind not in SECRET_KINDS)
    taken = {each.name for each in kept} | _of_assets(worker)
    secrets = (
        Binding(name, "secret", _variable(live.service, name)) for name in live.secrets if name not in taken
    )
    return replace(worker, bindings=(*kept, *secrets))


def _assets(settings: SiteSettings, folder: Path, taken: Collection[str]) -> Assets:
    binding = settings.binding if settings.binding not in taken else None
    return Assets(
        folder, binding, settings.html_handling, settings.not_found_handling, settings.run_worker_first
    )


def _of_assets(worker: Worker) -> set[str]:
    return {worker.assets.binding} if worker.assets is not None and worker.assets.binding else set()


def _var(name: str, value: Any) -> Binding:
    return Binding(name, "text" if isinstance(value, str) else "json", value)


def _variable(service: str, name: str) -> str:
    """Where a secret of a service is among those of the configuration: no variable of an environment has a NUL."""
    return f"{service}\0{name}"
