"""What all capabilities on `env` have in common."""

from _pyworkerd import calls

from .rpc import python_to_rpc


class Capability:
    """Something outside that may be asked. Never false; not a container."""

    __slots__ = ("_index",)

    def __init__(self, index):
        self._index = index

    def __bool__(self):
        return True

    async def _call(self, method, *positional, **named):
        return await calls.call(self._index, method, python_to_rpc([list(positional), named]))
