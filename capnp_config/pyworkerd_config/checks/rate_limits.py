"""Cross checks of rate limits on what comes in: their routes, keys and numbers. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd_config.limits import RATE_LIMIT_RANGES
from pyworkerd_config.names import route_fault, route_key
from pyworkerd_config.problems import Problem, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.kinds import BindingKinds
    from pyworkerd_config.model import Config, Place, RateLimit, Service

MAX_RATE_LIMITS = 16
"""Of one service: each request is counted by all of them that it falls under."""
HEADER = "header:"
_KEY = re.compile(r"client|everyone|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")


def rate_limits(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """What cannot work of all services' rate limits."""
    for service in config.services:
        if len(service.rate_limits) > MAX_RATE_LIMITS:
            message = f"a service has {MAX_RATE_LIMITS} rate limits at most, found {len(service.rate_limits)}"
            yield Problem(_at(service), message, "leave out those that others include")
            continue
        seen: set[tuple[str, str, int]] = set()
        for i, each in enumerate(service.rate_limits):
            yield from _faults(service, i, each)
            counted = (route_key(each.route), each.key.lower(), each.period)
            if counted in seen:
                message = "two rate limits of one service count the same requests in the same periods"
                yield Problem(_at(service, i), message, "keep the smaller limit")
            seen.add(counted)


def _faults(service: Service, i: int, each: RateLimit) -> Iterator[Problem]:
    if fault := route_fault(each.route):
        remedy = f'{fault}; write for example "/api/*" or "shop.example.com/*"'
        yield Problem(_at(service, i, "route"), f"malformed route {quote(each.route)}", remedy)
    if not _KEY.fullmatch(each.key):
        message = f"{quote(each.key)} is nothing that requests are counted by"
        remedy = 'write "client", "everyone" or "header:" and the name of a header, for example "header:authorization"'
        yield Problem(_at(service, i, "key"), message, remedy)
    for name, allowed in RATE_LIMIT_RANGES.items():
        value = getattr(each, name)
        if not allowed.minimum <= value <= allowed.maximum:
            message = f"{quote(name)} must be from {allowed.minimum} to {allowed.maximum}, found {value}"
            yield Problem(_at(service, i, name), message, "write for example { limit = 100, period = 60 }")


def _at(service: Service, *path: str | int) -> Place:
    return service.places.at("rate_limits", *path) if service.places.lines else service.place
