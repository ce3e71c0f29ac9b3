"""How much may be logged."""

from __future__ import annotations

from pyworkerd.dispatch.log_limit import LOG_ENTRY, admit


def test_what_fits_is_logged_as_it_is() -> None:
    assert admit("hello", 100) == ("hello", 100 - LOG_ENTRY - 5)
    assert admit("\u00fc", 100) == ("\u00fc", 100 - LOG_ENTRY - 2)


def test_the_one_that_is_too_much_is_cut_and_says_so() -> None:
    message, left = admit("x" * 100, LOG_ENTRY + 10)
    assert message is not None
    assert message.startswith("x" * 10 + " [the log limit")
    assert left < 0


def test_then_nothing_is_logged() -> None:
    assert admit("hello", 0) == (None, 0)
    assert admit("", -7) == (None, -7)
