"""What was deployed to the services of a configuration: read from the store, changed, and told to serving processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from pyworkerd_config.model import Worker

from pyworkerd.storage.layout import encoded

from .model import CONFIGURED, Live, Record, Secrets
from .overlay import SANDBOX, overlay
from .rules import RuleError
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from pyworkerd_config.model import Config

    from .trial import Trial


class Change(NamedTuple):
    """What is to become of one service. Each half is a pure function that may raise `rules.RuleError`."""

    service: str
    record: Callable[[Record], Record] | None = None
    secrets: Callable[[Secrets], Secrets] | None = None
    trial: Trial | None = None
    """What has to work before anything is changed."""


class Current(NamedTuple):
    """A configuration with what was deployed."""

    config: Config
    lives: tuple[Live, ...] = ()
    unkept: tuple[Record | Secrets, ...] = ()
    """What has to be written before it may be served."""


def current(config: Config, change: Change | None = None) -> Current:
    """A configuration with what was deployed, and with one change more. Blocks on the disk for a moment.

    Raises `ConfigurationError` for what cannot be read, `RuleError` for a change that cannot be.
    """
    if change is not None:
        _must_be_possible(config, change)
    store = Store(config.state_dir)
    folders = store.services()
    lives: list[Live] = []
    unkept: tuple[Record | Secrets, ...] = ()
    for service in config.services:
        is_changed = change is not None and service.name == change.service
        if not isinstance(service.kind, Worker) or not (is_changed or encoded(service.name) in folders):
            continue
        record, secrets = store.record(service.name), store.secrets(service.name)
        if change is not None and is_changed:
            after = _after(change, record, secrets)
            unkept = tuple(new for new in after if new not in (record, secrets))
            record, secrets = after
        lives.append(_live(store, record, secrets))
    return Current(overlay(config, lives), tuple(lives), unkept)


def _must_be_possible(config: Config, change: Change) -> None:
    """The configuration may have become another one since the change was asked for."""
    workers = {each.name: each.kind for each in config.services if isinstance(each.kind, Worker)}
    worker = workers.get(change.service)
    if worker is None:
        raise RuleError(f"the configuration has no worker named {change.service!r} any more")
    if change.record is not None and worker.isolation != SANDBOX:
        raise RuleError(f"{change.service!r} runs without a sandbox: only the operator can change its files")


def _after(change: Change, record: Record, secrets: Secrets) -> tuple[Record, Secrets]:
    return (
        record if change.record is None else change.record(record),
        secrets if change.secrets is None else change.secrets(secrets),
    )


def _live(store: Store, record: Record, secrets: Secrets) -> Live:
    versions = {each.id: each for each in record.versions}
    shares = tuple(
        (None if share.version == CONFIGURED else versions[share.version], share.percent)
        for share in record.live
    )
    files, sites = store.files(record.service), store.sites(record.service).sites
    return Live(record.service, str(files), str(sites), shares, secrets.values)


def keeping(current: Current) -> Generator[Path]:
    """Write what is not kept yet: see `Store.writing`."""
    store = Store(current.config.state_dir)
    for each in current.unkept:
        yield from store.writing(each)


def encode(lives: Sequence[Live]) -> bytes:
    """For a serving process; empty if nothing was deployed."""
    return msgspec.msgpack.encode(lives) if lives else b""


def with_deployed(config: Config, lives: bytes) -> Config:
    """A configuration with what somebody has encoded."""
    return overlay(config, msgspec.msgpack.decode(lives, type=tuple[Live, ...]))
