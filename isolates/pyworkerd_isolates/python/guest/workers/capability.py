"""What can be asked of something outside: the classes that all others on `env` are made of."""

from _pyworkerd.calls import address

from .stubs import Asked

MAX_KEPT = 64
"""Methods of a service that are kept once they were asked for; names may come from whoever sends a request."""


class Capability:
    """Something outside that may be asked. Never false; not a container."""

    __slots__ = ("_index",)

    def __init__(self, index):
        self._index = index

    def __bool__(self):
        return True

    def _call(self, method, *positional, **named):
        return Asked(address(self._index, method), positional, named)


class Fetcher(Capability):
    """Another service: `fetch()` sends it a request, any other name is one of its RPC methods."""

    __slots__ = ("__dict__",)

    async def fetch(self, resource, **options):
        """Send a request to the service; the URL's host is for the service to see, it is not looked up."""
        from .fetching import send

        return await send(self._index, resource, options)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        to = address(self._index, name)

        def method(*positional, **named):
            return Asked(to, positional, named)

        method.__name__ = method.__qualname__ = name
        kept = self.__dict__
        if len(kept) < MAX_KEPT:
            kept[name] = method  # found sooner than this is asked
        return method
