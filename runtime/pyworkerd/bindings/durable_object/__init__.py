"""`NAME = { durable_object = "Room" }`: the objects of a class, of the worker itself or of another (`service_name`)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from pyworkerd.bindings.arguments import type_error
from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.bindings.service.capability import ServiceCapability
from pyworkerd.errors import NoSuchMethod
from pyworkerd.objects.ids import is_valid, key_of, of_name
from pyworkerd.services.base import Target

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Service

KNOWN: Final = 256
"""Objects of a namespace, those that were asked last, whose ids need not be checked anew: that takes two hashes, and a
call asks twice."""
FOREIGN_ID: Final = "Durable Object ID is not valid for this namespace."


class DurableObjectBinding(Binding):
    """A namespace on `env`: ids are made in the guest, objects are parts of the capability."""

    __slots__ = ("_class", "_service")

    kind = "durable_object"
    shape = "durable_object"

    def __init__(
        self, name: str, class_name: str, service: str | None = None, place: Place | None = None
    ) -> None:
        super().__init__(name, place)
        self._class = class_name
        self._service = service

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a class. That the worker exports it is seen when it is deployed."""
        message, remedy = "the value is not the name of a class", 'write { durable_object = "Room" }'
        class_name = text_of(configured, message, remedy)
        service = configured.options.get("service_name")
        return cls(configured.name, class_name, service, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the worker that has the class; does not start it."""
        name = self._service or host.worker
        key = key_of(host.unique_key(name, self._class))
        namespace = Namespace(key, self._class, host.service(name), host.worker, host.cpu_ms)
        return Access("durable_object", namespace, key)


class Namespace:
    """All objects of a class. Itself it can do nothing: `part` is one of them."""

    __slots__ = ("_caller", "_class", "_cpu_ms", "_key", "_service", "part")

    external = False

    def __init__(
        self, key: bytes, class_name: str, service: Service, caller: str = "", cpu_ms: float | None = None
    ) -> None:
        self._key, self._class, self._service = key, class_name, service
        self._caller, self._cpu_ms = caller, cpu_ms
        self.part = lru_cache(KNOWN)(self._part)
        """The way to one object, by its id and its name."""

    def _part(self, id_: str, name: str | None = None) -> ServiceCapability:
        """Raises a TypeError of the guest's for an id that the namespace has not made, or not of this name."""
        if not is_valid(self._key, id_) if name is None else of_name(self._key, name) != id_:
            raise type_error(FOREIGN_ID)
        return ServiceCapability(
            self._service, Target(self._class, {}, id_, name), self._caller, self._cpu_ms
        )

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Refused."""
        del arguments
        raise NoSuchMethod(f"a namespace has no method {method[:40]!r}")

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Refused."""
        raise NoSuchMethod("a namespace cannot be sent requests, its objects can")

    async def aclose(self) -> None:
        """Nothing to let go of."""
