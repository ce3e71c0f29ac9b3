"""An upload, unpacked and kept: on a thread of a serving process, because the supervisor has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from pyworkerd.errors import StorageError, StorageFull

from .archive import UploadError
from .model import Digest, Site, VersionId
from .store import Store


class Order(msgspec.Struct, frozen=True, tag="version"):
    """A version is to be made of an upload."""

    state_dir: str
    service: str
    upload: str
    """Path of the file."""
    known: tuple[str, ...]
    """Ids of the versions whose files have to stay."""
    until: float
    """`time.monotonic` of this machine, after which nobody waits for it."""


class OrderOfAssets(msgspec.Struct, frozen=True, tag="assets"):
    """Contents of static assets are to be kept."""

    state_dir: str
    service: str
    upload: str
    """Path of the file."""


class Wanted(msgspec.Struct, frozen=True, tag="wanted"):
    """Which of these contents are to be uploaded?"""

    state_dir: str
    service: str
    digests: list[Digest]


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """The version's files are there now."""

    id: VersionId
    main: str
    vars: dict[str, Any]
    files: int
    size: int
    site: Site | None


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """So many contents are there now."""

    assets: int


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """These are not there."""

    digests: list[Digest]


class NotKept(msgspec.Struct, frozen=True, tag="not kept"):
    """Nothing is there, and whose fault it was."""

    fault: Literal["upload", "full", "disk"]
    detail: str


Answer: TypeAlias = Kept | Taken | Missing | NotKept


def receive(argument: bytes) -> bytes:
    """See `supervisor.questions.TASKS`. Blocks."""
    answer: Answer
    try:
        answer = _done(msgspec.msgpack.decode(argument, type=Order | OrderOfAssets | Wanted))
    except UploadError as error:
        answer = NotKept("upload", str(error))
    except StorageFull as error:
        answer = NotKept("full", str(error))
    except (StorageError, OSError) as error:
        answer = NotKept("disk", str(error))
    return msgspec.msgpack.encode(answer)


def _done(order: Order | OrderOfAssets | Wanted) -> Answer:
    store = Store(Path(order.state_dir))
    match order:
        case Order():
            return Kept(*store.keep_upload(order.service, Path(order.upload), order.known, order.until))
        case OrderOfAssets():
            return Taken(store.keep_assets(order.service, Path(order.upload)))
        case Wanted():
            return Missing(store.missing_assets(order.service, order.digests))


def answer_of(data: bytes) -> Answer:
    """What `receive` said. It comes from a process that runs tenants' code: raises `msgspec.DecodeError`."""
    answer: Answer = msgspec.msgpack.decode(data, type=Answer)
    return answer
