"""Capabilities as objects on `env`: each is an index into this worker's own table, and says nothing elsewhere."""

from .analytics import AnalyticsEngineDataset
from .capability import Capability, Fetcher
from .d1 import D1Database
from .durable import DurableObjectNamespace
from .kv import KVNamespace
from .loader import WorkerLoader
from .queue import Queue
from .r2 import R2Bucket


class RateLimit(Capability):
    """A rate limit: `await env.LIMITER.limit({"key": key})` answers `{"success": bool}`."""

    __slots__ = ()

    async def limit(self, options=None, *, key=None):
        """Count one use of `key` and say whether it is still within the limit."""
        if options is not None:
            key = options["key"]
        return await self._call("limit", key)


class Hello(Capability):
    """The template binding: `await env.NAME.greet("you")`."""

    __slots__ = ()

    async def greet(self, name):
        """A greeting, made by the host."""
        return await self._call("greet", name)


class Callable(Capability):
    """A function of the program that embeds the runtime."""

    __slots__ = ()

    async def __call__(self, *positional, **named):
        return await self._call("call", *positional, **named)


SHAPES = {
    "fetcher": Fetcher,
    "durable_object": DurableObjectNamespace,
    "rate_limit": RateLimit,
    "kv": KVNamespace,
    "r2": R2Bucket,
    "queue": Queue,
    "d1": D1Database,
    "worker_loader": WorkerLoader,
    "analytics_engine": AnalyticsEngineDataset,
    "hello": Hello,
    "callable": Callable,
}
