"""What a worker's isolates ask of a dataset."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.errors import NoSuchMethod

from .dataset import BLOBS, DOUBLES, Point

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Request, Response

    from .dataset import Dataset

MAX_INDEX: Final = 96
"""Bytes (Cloudflare, "Analytics Engine: limits")."""
MAX_BLOBS: Final = 16_384
"""Bytes of all blobs of a point together."""


class AnalyticsCapability:
    """Stages 3 and 4 of the binding."""

    __slots__ = ("_dataset", "_now")

    external = False

    def __init__(self, dataset: Dataset, now: Callable[[], float]) -> None:
        self._dataset, self._now = dataset, now

    async def call(self, method: str, arguments: bytes) -> bytes:
        """`writeDataPoint(indexes, blobs, doubles)`."""
        positional, named = args.decode(arguments)
        if method != "writeDataPoint" or len(positional) != 3 or named:
            raise NoSuchMethod(f"this binding has no method {method[:40]!r} with {len(positional)} arguments")
        await self._dataset.write([point_of(*positional)], self._now())
        return wire.dump_value(None)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """A dataset is not fetched from."""
        await request.body.aclose()
        raise NoSuchMethod("a dataset has no fetch()")

    async def aclose(self) -> None:
        """Let go of the dataset."""
        await self._dataset.aclose()


def point_of(indexes: Any, blobs: Any, doubles: Any) -> Point:
    """What a guest wants to be written, checked. Raises a TypeError of the guest's."""
    index = [_text(each, "an index") for each in _list(indexes, 1, "indexes")]
    texts = [_text(each, "a blob") for each in _list(blobs, BLOBS, "blobs")]
    if index and len(index[0].encode("utf-8", "replace")) > MAX_INDEX:
        raise _refused(f"Size of indexes exceeds {MAX_INDEX} bytes")
    if sum(len(text.encode("utf-8", "replace")) for text in texts) > MAX_BLOBS:
        raise _refused(f"Total size of blobs exceeds {MAX_BLOBS} bytes")
    numbers = [_number(each) for each in _list(doubles, DOUBLES, "doubles")]
    return Point(index[0] if index else "", tuple(texts), tuple(numbers))


def _list(value: Any, most: int, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _refused(f"{what} must be a list")
    if len(value) > most:
        raise _refused(f"Maximum of {most} {what} supported")
    return value


def _text(value: Any, what: str) -> str:
    """Bytes are text to those who read them (Cloudflare takes an ArrayBuffer)."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise _refused(f"{what} must be a text")
    return value.encode("utf-8", "replace").decode()


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused("a double must be a number")
    number = float(value) if abs(value) < 1e308 else float("inf")
    if not isfinite(number):
        raise _refused("a double must be finite")
    return number


def _refused(why: str) -> Exception:
    return args.type_error(f"writeDataPoint(): {why}.")
