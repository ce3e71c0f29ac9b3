"""A program without `main` is looked for in three places, as three languages, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config.conventions import find_main, main_candidates, nothing_exists

FOLDER = Path("conf")


@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_first_that_exists_is_taken(first: int) -> None:
    existing = main_candidates("shop", FOLDER)[first:]
    assert find_main("shop", FOLDER, lambda path: path in existing) == existing[0]


def test_the_places() -> None:
    assert main_candidates("shop", FOLDER) == tuple(
        Path(f"conf/{place}{suffix}")
        for suffix in (".py", ".ts", ".js")
        for place in ("shop", "src/shop", "shop/index")
    )


def test_when_nothing_exists_the_first_is_meant() -> None:
    assert find_main("shop", FOLDER, nothing_exists) == Path("conf/shop.py")


def test_a_name_that_leads_elsewhere_is_never_looked_for() -> None:
    looked: list[Path] = []
    find_main("../../etc/x", FOLDER, lambda path: bool(looked.append(path)))
    assert looked == []
