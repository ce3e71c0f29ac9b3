"""The stages of a binding, in their order, and what each may touch.

1. `Binding.configure`: once per configuration. Checks what was written. No I/O, no clock, no other service.
2. `Binding.prepare`: once per worker version, before its first invocation. May do I/O and use the `Host`.
   Its outcome is a `Grant`: a `Value` that is copied into the isolates, `Access` to a capability that stays outside,
   or `Wrapped`, which a function inside makes of other grants.
3. `Capability.call` and `Capability.fetch`: once per effect. Arguments come from the guest and are hostile.
4. `Capability.aclose`: once per worker version, after its last invocation.

A `Binding` is a recipe and holds nothing that has to be closed; one may be prepared for many versions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from pyworkerd_config.problems import Problem, quote
from pyworkerd_isolates import wire

from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place, Queue

    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Service
    from pyworkerd.storage.layout import Location

    from .shared import Shared


class Host(Protocol):
    """What `prepare` may use of the runtime. Read-only; the same for all bindings of one worker."""

    @property
    def worker(self) -> str:
        """Name of the service whose worker is prepared: a namespace for what its bindings keep elsewhere."""

    @property
    def cpu_ms(self) -> float:
        """CPU time that an invocation of the worker may use: what it is given to read must take a part of it only."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The process's environment variables."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """Values of `.dev.vars`. Never to be printed."""

    @property
    def shared(self) -> Shared:
        """Objects that live as long as the process and that workers share, such as stores."""

    def store(self, kind: str, name: str) -> Location:
        """Where the worker's store of this name is: its own, unless `[[stores]]` names it among those that share one.
        Nothing is opened.
        """

    def queue(self, name: str) -> tuple[Queue, Location]:
        """A queue that the worker may send to, and where it is. Raises `ConfigurationError` for any other."""

    def service(self, name: str) -> Service:
        """The service of this name. It need not have started yet (two workers may name each other), and it
        stays usable when the service gets a new version. Raises `ConfigurationError` if there is none.
        """

    def unique_key(self, service: str, class_name: str) -> str:
        """What the ids of a worker's Durable Object class are made from."""

    @property
    def own(self) -> Worker | None:
        """The worker itself: None while its bindings are prepared, because it is made after them."""

    def now(self) -> float:
        """The wall clock, in seconds since 1970. May be called at any time, also after `prepare`."""


class Capability(Protocol):
    """Stages 3 and 4: something outside the sandbox that a worker may ask."""

    external: bool
    """Whether its calls leave the process: they count as subrequests."""

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Perform a method. `arguments` is an encoded `[positional, named]`, the result an encoded value.

        Raises `PyworkerdError`, which becomes an exception in the guest.
        """

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """Send a request; `redirect` is "follow", "manual" or "error". Returns the response and its URL.

        Raises `PyworkerdError`, which becomes an exception in the guest.
        """

    async def aclose(self) -> None:
        """Let go of everything. Called once; no call follows."""


@dataclass(frozen=True, slots=True)
class Value:
    """A grant that is copied into each isolate with its first event, never into an image."""

    encoded: bytes = field(repr=False)
    """A `pyworkerd_isolates.wire` value. It may be a secret: not part of the repr."""

    @classmethod
    def of(cls, value: object) -> Self:
        """Encode a value. Raises TypeError or ValueError for one that cannot be sent to a guest."""
        return cls(wire.dump_value(value))


@dataclass(frozen=True, slots=True)
class Access:
    """A grant that stays outside: the guest gets an index into its worker's own table."""

    shape: str
    """Which object the guest makes of it: a row of SHAPES in the guest's `workers/bindings.py`."""
    capability: Capability
    details: bytes | None = field(default=None, repr=False)
    """What the guest's half has to know besides."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A grant that is made inside the isolate, by a function of an extension, of the binding's `inner` ones."""

    encoded: bytes
    """A wire value: {"module": ..., "entrypoint": ...}."""


Grant = Value | Access | Wrapped


class Binding(ABC):
    """Stages 1 and 2. Subclasses are the rows of `registry.KINDS`."""

    __slots__ = ("name", "place")

    kind: ClassVar[str]
    """The word in the configuration, and the name of the folder."""
    hidden: ClassVar[bool] = False
    """Whether what it grants must not be written down."""
    shape: ClassVar[str | None] = None
    """Shape of the `Access` that it grants; None if it grants something else."""
    inner: tuple[Binding, ...] = ()
    """Bindings that are not on `env`, but handed to the function that makes this one."""

    def __init__(self, name: str, place: Place | None = None) -> None:
        self.name = name
        self.place = place
        """Where it was configured; None if a program gave it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @classmethod
    @abstractmethod
    def configure(cls, configured: Configured) -> Self:
        """Stage 1, once per configuration: check what was written. No I/O. Raises `ConfigurationError`."""

    @abstractmethod
    async def prepare(self, host: Host) -> Grant:
        """Stage 2, once per worker version: may do I/O, may keep `host`. Raises `ConfigurationError`."""

    def problem(self, message: str, remedy: str = "") -> ConfigurationError:
        """An error that names this binding, its place and a remedy. Neither text may hold a secret."""
        return problem(self.name, self.place, message, remedy)


def text_of(configured: Configured, message: str, remedy: str) -> str:
    """For `configure`: the value, which has to be a text that is not empty. Raises `ConfigurationError`."""
    if not isinstance(configured.value, str) or not configured.value:
        raise problem(configured.name, configured.place, message, remedy)
    return configured.value


def problem(name: str, place: Place | None, message: str, remedy: str = "") -> ConfigurationError:
    """What is wrong with a binding, where it was written, and what to write instead."""
    sentence = f"binding {quote(name)}: {message}"
    if place is None or place.file is None:
        return ConfigurationError(f"{sentence}: {remedy}" if remedy else sentence)
    return ConfigurationError(str(Problem(place, sentence, remedy)))
