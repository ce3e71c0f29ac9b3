"""An upload, unpacked and kept: on a thread of a serving process, because the supervisor has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from pyworkerd.errors import StorageError, StorageFull

from .archive import UploadError
from .model import VersionId
from .store import Store


class Order(msgspec.Struct, frozen=True):
    """What is to be done."""

    state_dir: str
    service: str
    upload: str
    """Path of the file."""
    known: tuple[str, ...]
    """Ids of the versions whose files have to stay."""


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """The version's files are there now."""

    id: VersionId
    main: str
    vars: dict[str, Any]
    files: int
    size: int


class NotKept(msgspec.Struct, frozen=True, tag="not kept"):
    """Nothing is there, and whose fault it was."""

    fault: Literal["upload", "full", "disk"]
    detail: str


def receive(argument: bytes) -> bytes:
    """See `supervisor.questions.TASKS`. Blocks."""
    order = msgspec.msgpack.decode(argument, type=Order)
    answer: Kept | NotKept
    try:
        found = Store(Path(order.state_dir)).keep_upload(order.service, Path(order.upload), order.known)
        answer = Kept(*found)
    except UploadError as error:
        answer = NotKept("upload", str(error))
    except StorageFull as error:
        answer = NotKept("full", str(error))
    except (StorageError, OSError) as error:
        answer = NotKept("disk", str(error))
    return msgspec.msgpack.encode(answer)


def answer_of(data: bytes) -> Kept | NotKept:
    """What `receive` said. It comes from a process that runs tenants' code: raises `msgspec.DecodeError`."""
    return msgspec.msgpack.decode(data, type=Kept | NotKept)
