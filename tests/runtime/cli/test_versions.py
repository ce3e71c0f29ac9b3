"""How shares are written."""

from __future__ import annotations

import pytest
from pyworkerd.cli.versions import parse_shares
from pyworkerd.problems import Refusal


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a"], [("a", 100.0)]),
        (["a@100%"], [("a", 100.0)]),
        (["a@10%", "b@90"], [("a", 10.0), ("b", 90.0)]),
        (["a@12.5%", "b"], [("a", 12.5), ("b", 87.5)]),
    ],
)
def test_parts(texts: list[str], expected: list[tuple[str, float]]) -> None:
    assert [(share["version"], share["percent"]) for share in parse_shares(texts)] == expected


@pytest.mark.parametrize("text", ["a@", "a@ten", "a@10@10"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(Refusal, match=r"write VERSION@10%"):
        parse_shares([text])
