"""Values on their way hold what they name, and let go of it once."""

from __future__ import annotations

from pyworkerd.services.stubs import Carried, gone, release


class Loan:
    """Counts its holders."""

    def __init__(self) -> None:
        self.holders = 0

    def take(self) -> None:
        self.holders += 1

    def give_back(self) -> None:
        self.holders -= 1


def test_a_value_holds_what_it_names_until_it_is_released() -> None:
    one, other = Loan(), Loan()
    value = Carried.of(b"value", [one, other, one])  # type: ignore[list-item]
    assert (value, type(value), one.holders, other.holders) == (b"value", Carried, 2, 1)
    release(value)
    release(value)
    assert (one.holders, other.holders, value.stubs) == (0, 0, ())


def test_other_values_hold_nothing() -> None:
    for value in (b"value", None, "text"):
        release(value)


def test_what_is_said_of_a_loan_that_is_gone() -> None:
    assert (gone().code, gone().status) == ("broken_stub", 500)
