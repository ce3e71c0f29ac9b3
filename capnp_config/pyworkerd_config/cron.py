"""Cron expressions as Workers take them: five fields in UTC, days of the week from 1 (Sunday) to 7. Pure.

    minute  hour  day of month  month  day of week

Each is `*`, a number, a range, a list, or steps (`*/5`); months and days of the week have names too (`JAN`, `MON-FRI`),
`L` is a month's last day, `LW` its last working day, `FRI#2` its second Friday, `6L` its last one. Where both kinds of
day are given, either will do, as in Vixie's cron.

Read by cronsim, whose numbers for days are those of crontab(5), from 0: they are written anew for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

MAX_LENGTH: Final = 256
MAX_CRONS: Final = 250
"""Of one worker: what Workers' paid plan grants an account."""
FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
EXAMPLE: Final = 'write for example "*/5 * * * *"'
_DAY: Final = re.compile(r"(?<![#/\w])\d+")
_LONG_AGO: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""In a leap year, so that the 29th of February is not far."""


class CronError(ValueError):
    """Not an expression: what is wrong, and what to write."""

    def __init__(self, message: str, remedy: str = EXAMPLE) -> None:
        super().__init__(f"{message}: {remedy}")
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True)
class Cron:
    """One expression, as it was written. Raises `CronError` for what is none."""

    expression: str
    _translated: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_translated", _translate(self.expression))
        self.after(_LONG_AGO)

    def after(self, moment: datetime) -> datetime:
        """The next moment that it names, later than this one: a whole minute. Both have a time zone; UTC comes out."""
        try:
            return next(CronSim(self._translated, moment.astimezone(UTC)))
        except CronSimError as error:
            raise CronError(f"{self.expression!r}: {_sentence(error)}") from None
        except StopIteration:
            raise CronError(
                f"{self.expression!r} names no moment of the next fifty years", "leave it out"
            ) from None


def _translate(expression: str) -> str:
    if len(expression) > MAX_LENGTH:
        raise CronError(f"a cron expression has {MAX_LENGTH} characters at most")
    fields = expression.upper().split()
    if len(fields) != len(FIELDS):
        raise CronError(f"{expression!r} is to have five fields ({', '.join(FIELDS)}), and has {len(fields)}")
    if re.search(r"\dW|W\d", fields[2]):
        raise CronError(
            f"{expression!r}: the working day nearest to a date (W) is not supported",
            "LW, the last one of a month, is",
        )
    fields = ["*" if each == "?" else each for each in fields]
    fields[4] = _DAY.sub(lambda found: _counted_from_zero(expression, found[0]), fields[4])
    return " ".join(fields)


def _counted_from_zero(expression: str, day: str) -> str:
    if not 1 <= int(day) <= 7:
        raise CronError(
            f"{expression!r}: {day} is no day of the week",
            "write 1 (Sunday) to 7, as in Workers, or SUN to SAT",
        )
    return str(int(day) - 1)


def _sentence(error: CronSimError) -> str:
    what = str(error).removeprefix("Bad ")
    name = next((name for name in FIELDS if name.replace(" ", "-") == what), None)
    return f"the {name} is wrong" if name else str(error)
