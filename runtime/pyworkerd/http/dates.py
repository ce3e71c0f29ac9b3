"""Dates as HTTP writes them (RFC 9110 section 5.6.7). Reading them, which is rarer and kinder, is in `conditional`."""

from __future__ import annotations

import time
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(seconds: float) -> str:
    """Seconds since 1970, as `Date` and `Last-Modified` have them. Raises OverflowError for what no calendar has.

    It is written here since `email.utils`, which has it too, takes longer to import than the whole parser.
    """
    then = time.gmtime(int(seconds))
    day, month = _DAYS[then.tm_wday], _MONTHS[then.tm_mon - 1]
    clock = f"{then.tm_hour:02}:{then.tm_min:02}:{then.tm_sec:02}"
    return f"{day}, {then.tm_mday:02} {month} {then.tm_year:04} {clock} GMT"
