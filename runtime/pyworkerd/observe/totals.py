"""What several processes have counted together, though they come and go: a sum of counters never falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .families import FAMILIES
from .snapshot import merge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .snapshot import Snapshot

PAST_ROWS: Final = 200_000
"""Of processes that are no more. Beyond that they are forgotten, and counters fall as they do at a restart. Our own
figure: a thousand workers have some 20,000."""


class Totals:
    """One for each server. Processes are known by numbers, none of which is used twice.

    What a process counted after it was asked for the last time, and before it ended, is in no sum.
    """

    def __init__(self) -> None:
        self._last: dict[int, Snapshot] = {}
        self._past: Snapshot = {}

    def add(self, answers: Mapping[int, Snapshot], alive: Collection[int]) -> Snapshot:
        """The sum, from what the processes say now; those that are `alive` and silent count with what they last said.

        How things stand (gauges) is told by those that answered only.
        """
        for number in [each for each in self._last if each not in alive and each not in answers]:
            self._past = merge([self._past, counted(self._last.pop(number))])
        if sum(map(len, self._past.values())) > PAST_ROWS:
            self._past = {}
        self._last.update(answers)
        silent = [counted(said) for number, said in self._last.items() if number not in answers]
        return merge([self._past, *silent, *answers.values()])


def counted(snapshot: Snapshot) -> Snapshot:
    """What of a snapshot only ever grows."""
    return {family: rows for family, rows in snapshot.items() if FAMILIES[family].kind != "gauge"}
