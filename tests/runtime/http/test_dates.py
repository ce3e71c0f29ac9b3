"""Dates as HTTP writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.http.conditional import http_date
from pyworkerd.http.dates import format_date


def test_the_example_of_the_rfc() -> None:
    assert format_date(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_they_are_those_of_the_standard_library(seconds: int) -> None:
    assert format_date(seconds) == format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


@given(st.integers(0, 253_402_300_799))
def test_they_come_back(seconds: int) -> None:
    assert http_date(format_date(seconds + 0.5)) == seconds


def test_what_no_calendar_has() -> None:
    with pytest.raises(OverflowError):
        format_date(1e30)
