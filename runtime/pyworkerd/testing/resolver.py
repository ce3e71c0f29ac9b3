"""A resolver whose answers are written down: for tests that must not ask the system."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd.services.egress import Address


class FixedResolver:
    """Knows the names it was given, and nothing else. `asked` lists every question in order.

    An answer may be a list of lists: each question takes the next one and the last stays, as with a name
    server that changes its mind (DNS rebinding).
    """

    def __init__(self, names: Mapping[str, Sequence[str] | Sequence[Sequence[str]]]) -> None:
        self._names = {name: _as_turns(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[Address]:
        """The addresses written down for `host`; OSError as from the system if there are none."""
        self.asked.append(host)
        turns = self._names.get(host)
        if not turns:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answer = turns.pop(0) if len(turns) > 1 else turns[0]
        return [ip_address(text) for text in answer]

    async def aclose(self) -> None:
        """Nothing to let go of."""


def _as_turns(answers: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    if answers and not isinstance(answers[0], str):
        return [list(turn) for turn in answers]
    return [[text for text in answers if isinstance(text, str)]] if answers else []
