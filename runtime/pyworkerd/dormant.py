"""A configured worker that nobody has asked for yet, or not for long: a name, and what it takes to deploy it.

With `deploy = "lazy"` every worker begins like this, and becomes like this again when it has had no isolate for long
and others want its room. It costs some hundred bytes. The first request deploys it, others that come meanwhile wait for
the same deploy; one that fails is tried again by a later request, but not before `backoff` has passed.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd.dispatch.failures import outcome
from pyworkerd.errors import ConfigurationError, InternalError, Overloaded, PyworkerdError
from pyworkerd.services.base import DEFAULT, Service, Target

if TYPE_CHECKING:
    from pyworkerd_config.model import Limits

    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.counters import Meters, WorkerCounters

logger = logging.getLogger("pyworkerd.deploy")

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 60.0


def backoff(failures: int) -> float:
    """Seconds until the next attempt after so many failed ones: 1, 2, 4 ... 60."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16), LONGEST_BACKOFF_S)


class Beds(Protocol):
    """Where dormant workers lie, and what wakes them."""

    def awake(self, name: str) -> Service | None:
        """The service of this name as it is now: perhaps this one still, perhaps a worker."""

    async def deploy_dormant(self, dormant: Dormant) -> Service:
        """Deploy it and let requests find it. Raises `PyworkerdError`."""


class Dormant:
    """Implements `services.base.Service`; runs on one event loop."""

    external = False

    __slots__ = (
        "_beds",
        "_deploying",
        "_failed",
        "_failures",
        "_meters",
        "_quiet",
        "_record",
        "_retry_at",
        "_waiting",
        "limits",
        "name",
    )

    def __init__(self, name: str, limits: Limits, beds: Beds, meters: Meters) -> None:
        self.name = name
        self.limits = limits
        self._beds = beds
        self._meters = meters
        self._record: WorkerCounters | None = None
        self._deploying: asyncio.Task[Service | PyworkerdError] | None = None
        self._waiting = 0
        self._quiet: asyncio.Event | None = None
        self._failed = ""
        self._failures = 0
        self._retry_at = 0.0

    def __repr__(self) -> str:
        return f"<Dormant {self.name}: {self._waiting} requests wait for its deploy>"

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """See `services.base.Service`."""
        began = monotonic_ns()
        try:
            worker = await self.wake()
        except BaseException as error:
            self._counted().failed(*outcome(error), monotonic_ns() - began)
            raise
        return await worker.fetch(request, target)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """See `services.base.Service`."""
        try:
            worker = await self.wake()
        except BaseException as error:
            self._counted().call_failed(outcome(error)[1])
            raise
        return await worker.call(method, arguments, target)

    async def wake(self) -> Service:
        """The worker, deployed now if it is not already.

        Raises `ConfigurationError` if it does not deploy, `Overloaded` if too many wait for that, or for too long.
        """
        found = self._beds.awake(self.name)
        if found is not None and found is not self:
            return found
        loop = asyncio.get_running_loop()
        deploying = self._deploying
        if deploying is None:
            if self._failures and loop.time() < self._retry_at:
                raise ConfigurationError(self._failed)
            # It is nobody's: what begins with the worker goes on long after the request that woke it.
            deploying = self._deploying = loop.create_task(self._deploy(), context=Context())
        if self._waiting > self.limits.queue:
            raise Overloaded(f"too many requests wait for the deploy of {self.name!r}")
        self._waiting += 1
        try:
            async with asyncio.timeout((self.limits.queue_ms or 1000) / 1000):
                result = await asyncio.shield(deploying)
        except TimeoutError:
            raise Overloaded(f"the deploy of {self.name!r} takes longer than a request may wait") from None
        except asyncio.CancelledError:
            if deploying.cancelled():  # by `aclose`: those who wait are to be told, not cancelled
                raise Overloaded("the runtime was closed while the worker was deployed") from None
            raise
        finally:
            self._waiting -= 1
            if not self._waiting and self._quiet is not None:
                self._quiet.set()
        if isinstance(result, PyworkerdError):
            raise result.with_traceback(None)
        return result

    async def _deploy(self) -> Service | PyworkerdError:
        try:
            worker = await self._beds.deploy_dormant(self)
        except PyworkerdError as error:
            return self._note(error)
        except Exception:  # a bug of the runtime: not for each request anew
            logger.exception("service %s: internal error while it was deployed", self.name)
            return self._note(InternalError("the runtime failed to deploy the worker"))
        else:
            self._failures = 0
            return worker
        finally:
            self._deploying = None

    def _note(self, error: PyworkerdError) -> PyworkerdError:
        if isinstance(error, Overloaded):
            return error  # nothing is wrong with the worker
        self._failures += 1
        wait = backoff(self._failures)
        self._retry_at = asyncio.get_running_loop().time() + wait
        self._failed = str(error)
        logger.error("service %s does not deploy, next attempt in %g s: %s", self.name, wait, error)
        return error

    def _counted(self) -> WorkerCounters:
        """Where a failed request is counted. Only a worker that has failed has a record while it is dormant."""
        self._record = self._record or self._meters.take(self.name)
        return self._record

    # the end -----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether requests wait for its deploy."""
        return self._waiting > 0

    async def quiet(self) -> None:
        """Wait until none do."""
        while self._waiting:
            self._quiet = self._quiet or asyncio.Event()
            self._quiet.clear()
            await self._quiet.wait()

    def discharge(self) -> None:
        """It has become a worker, or is not needed any more: let go of its record."""
        record, self._record = self._record, None
        if record is not None:
            self._meters.give_back(self.name, record)

    async def aclose(self) -> None:
        """Break off its deploy."""
        self.discharge()
        if self._deploying is not None:
            self._deploying.cancel()
            await asyncio.wait((self._deploying,))
