"""The table of binding kinds.

Adding a kind is adding a row here, one to `pyworkerd_config.kinds` and, unless it is a
plain value, one to the guest's SHAPES; a test compares the three.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from pyworkerd_config.problems import did_you_mean, quote

from .base import problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyworkerd_config.model import Binding as Configured

    from .base import Binding

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "text": "text:TextBinding",
        "json": "json:JsonBinding",
        "data": "data:DataBinding",
        "environment": "environment:EnvironmentBinding",
        "secret": "secret:SecretBinding",
        "service": "service:ServiceBinding",
        "rate_limit": "rate_limit:RateLimitBinding",
        "kv": "kv:KVBinding",
        "durable_object": "durable_object:DurableObjectBinding",
        "r2": "r2:R2Binding",
        "queue": "queue:QueueBinding",
        "d1": "d1:D1Binding",
        "worker_loader": "worker_loader:WorkerLoaderBinding",
        "analytics_engine": "analytics_engine:AnalyticsEngineBinding",
        "wrapped": "wrapped:WrappedBinding",
        "hello": "hello:HelloBinding",
    }
)
"""Kind -> `folder:class`, imported when the first binding of the kind is configured."""

FROM_PYTHON: Mapping[str, str] = MappingProxyType({"callable": "callable:CallableBinding"})
"""Kinds that only an embedding program can give."""


def binding_class(kind: str) -> type[Binding]:
    """The class of a kind. Raises KeyError if there is none."""
    folder, _, name = (KINDS.get(kind) or FROM_PYTHON[kind]).partition(":")
    return cast("type[Binding]", getattr(import_module(f"{__package__}.{folder}"), name))


def configure(configured: Configured) -> Binding:
    """Stage 1 for one binding of a configuration. Raises `ConfigurationError`."""
    if configured.kind not in KINDS:
        message = f"there is no binding kind {quote(configured.kind)}"
        raise problem(configured.name, configured.place, message, did_you_mean(configured.kind, KINDS))
    return binding_class(configured.kind).configure(configured)


def configure_all(bindings: Iterable[Configured]) -> tuple[Binding, ...]:
    """Stage 1 for all bindings of a worker, in order. Raises `ConfigurationError` for the first wrong one."""
    return tuple(configure(configured) for configured in bindings)
