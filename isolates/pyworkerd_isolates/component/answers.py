"""What answers which question: the table of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.wasm.questions import DROP, KINDS

from . import cli, fields, keyvalue, messages, outgoing, preview1, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .abi import Answering
    from .host import Host


def _drop(host: Host, number: int) -> None:
    host.handles.drop(number)


ANSWERS: Final[dict[str, Answering]] = {
    **streams.ANSWERS,
    **fields.ANSWERS,
    **messages.ANSWERS,
    **outgoing.ANSWERS,
    **cli.ANSWERS,
    **keyvalue.ANSWERS,
    **preview1.ANSWERS,
    DROP: _drop,
}


def answering(names: Sequence[str]) -> list[tuple[Answering, int]]:
    """What answers each question of a program, and how many values it is about."""
    return [(ANSWERS[name], KINDS[name].index(":")) for name in names]
