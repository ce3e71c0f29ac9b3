"""`NAME = { data = "aGVsbG8=" }` or `{ data = { file = "logo.png" } }`: bytes, in hand or in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pyworkerd_config import ConfigError, read_data

from pyworkerd.bindings.base import Binding, Value, problem

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host


class DataBinding(Binding):
    """`bytes` on `env`. A file is read anew for each version of the worker."""

    __slots__ = ("_source",)

    kind = "data"

    def __init__(self, name: str, source: bytes | Path, place: Place | None = None) -> None:
        super().__init__(name, place)
        self._source = source

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is bytes, or the path of a file; the file is not looked at yet."""
        if not isinstance(configured.value, bytes | Path):
            raise problem(
                configured.name,
                configured.place,
                "the value is neither bytes nor a file",
                'write base64 text or { data = { file = "logo.png" } }',
            )
        return cls(configured.name, configured.value, configured.place)

    async def prepare(self, host: Host) -> Grant:  # noqa: ARG002
        """Reads the file, in a thread: disks may be slow."""
        if isinstance(self._source, bytes):
            return Value.of(self._source)
        try:
            return Value.of(await asyncio.to_thread(read_data, self._source))
        except ConfigError as error:
            raise self.problem(str(error), "create the file or correct the path") from None
