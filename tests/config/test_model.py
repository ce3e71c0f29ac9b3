"""Places fall back to the nearest thing around a value."""

from __future__ import annotations

from pathlib import Path

from pyworkerd_config import Place, Places

FILE = Path("config.toml")
PLACES = Places(FILE, {("services",): 1, ("services", 0): 1, ("services", 0, "name"): 2}, ("services", 0))


def test_a_written_value_has_its_own_line() -> None:
    assert PLACES.at("name") == Place(FILE, 2)


def test_an_unwritten_value_has_the_line_of_its_entry() -> None:
    assert PLACES.at("worker", "limits", "cpu_ms") == Place(FILE, 1)


def test_a_part_knows_where_it_lies() -> None:
    assert PLACES.under("name").at() == Place(FILE, 2)


def test_nothing_known_gives_the_file_alone() -> None:
    assert str(Places(FILE).at("sockets")) == "config.toml"


def test_a_place_without_file_says_so() -> None:
    assert str(Place()) == "<config>"
