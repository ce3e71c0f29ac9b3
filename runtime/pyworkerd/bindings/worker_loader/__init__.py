"""`NAME = { worker_loader = {} }`: start workers from source at run time, as in Workers.

In the guest (`workers/loader.py`): `env.NAME.get(name, callback)` and `env.NAME.load(code)`, then
`.get_entrypoint().fetch(...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, problem

from .capability import Loader

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured

    from pyworkerd.bindings.base import Grant, Host


class WorkerLoaderBinding(Binding):
    """A loader on `env`. What it loads is the worker's own: no other worker reaches it, whatever its name."""

    __slots__ = ()

    kind = "worker_loader"
    shape = "worker_loader"

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is an empty table: everything else is said when a worker is loaded."""
        if configured.value != {}:
            raise problem(
                configured.name, configured.place, "there is nothing to say", "write { worker_loader = {} }"
            )
        return cls(configured.name, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Keeps the host: the worker that loads others is not made yet."""
        return Access("worker_loader", Loader(self.name, host))
