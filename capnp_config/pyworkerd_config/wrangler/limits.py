"""Rate limits on what comes in, as a Wrangler file has them: in the table `[pyworkerd]`, which is ours alone.

Wrangler itself only warns of a table that it does not know.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd_config.model import RateLimit
from pyworkerd_config.problems import did_you_mean, listing, quote

from . import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyworkerd_config.decode import Cursor
    from pyworkerd_config.model import Service

    from .file import WranglerFile


def with_rate_limits(file: WranglerFile, services: Sequence[Service]) -> Iterator[Service]:
    """The workers of a file with the limits that it names for them; for its own one where it names none."""
    file.table("pyworkerd", tables.OURS)
    found: dict[str, list[RateLimit]] = {service.name: [] for service in services}
    own, called = _own(file, services), _called(file, services)
    for row, at in file.rows(tables.INCOMING, "pyworkerd", "rate_limits"):
        name = row.get("service", own)
        if name is not None and name not in found and name == called:
            name = services[0].name
        if name in found:
            found[name].append(RateLimit(**{key: row[key] for key in row if key != "service"}))
        else:
            _refuse(name, at, list(found))
    for service in services:
        limits = tuple(found[service.name])
        yield replace(service, rate_limits=limits) if limits else service


def _own(file: WranglerFile, services: Sequence[Service]) -> str | None:
    """The file's own worker is the first, if it has one."""
    return services[0].name if services and (len(services) == 1 or file.value("main") is not None) else None


def _called(file: WranglerFile, services: Sequence[Service]) -> str | None:
    """The file's own worker as it is called in no environment; None if it has none."""
    has_one = services and (file.value("main") is not None or not file.workers())
    name = file.at_top("name") if has_one else None
    return name if isinstance(name, str) else None


def _refuse(name: str | None, at: Cursor, known: list[str]) -> None:
    there_are = f"there are {listing(known, 'and')}" if known else "the file has none"
    if name is None:
        at.report('a rate limit needs "service", since the file has no worker of its own', there_are)
    else:
        at.inside("service").report(
            f"unknown service {quote(name)}", partial(did_you_mean, name, known, there_are)
        )
