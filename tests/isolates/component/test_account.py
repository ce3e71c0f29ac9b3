"""What the host holds for a program has a bound."""

import pytest
from pyworkerd_isolates.component.account import MOST, Account
from pyworkerd_isolates.errors import OutputTooLarge


def test_what_is_let_go_counts_no_more():
    account = Account()
    for _ in range(10):
        account.hold(MOST)
        account.hold(-MOST)
    with pytest.raises(OutputTooLarge, match="held for it"):
        account.hold(MOST + 1)
