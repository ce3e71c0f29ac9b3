"""The record of a call: itself, whatever number the guest gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pyworkerd.dispatch.waiting import Waiting
from pyworkerd_isolates.protocol import Call

if TYPE_CHECKING:
    from pyworkerd.dispatch.invocation import Invocation


def test_two_of_the_same_number_are_two() -> None:
    nobody = cast("Invocation", None)
    first, second = (Waiting(Call(7, 1, 1, "method", b""), nobody, 0) for _ in range(2))
    held: set[Any] = {first, second}
    held.discard(first)
    assert held == {second}
