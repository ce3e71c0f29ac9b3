"""The table of metrics keeps to what Prometheus asks of names, and to units of its own."""

from __future__ import annotations

import re

from pyworkerd.observe.families import BOUNDS_MS, FAMILIES, Family


def test_names_labels_and_help() -> None:
    for name, family in FAMILIES.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        assert all(re.fullmatch(r"[a-z]+", label) for label in family.labels)
        assert "le" not in family.labels
        assert family.help[0].isupper()
        assert family.help[-1] != "."
        assert (family.scale > 1) is name.endswith("_seconds")


def test_how_many_numbers_a_value_has() -> None:
    assert Family("counter", (), 1, "").length == Family("gauge", (), 1, "").length == 1
    assert Family("summary", (), 1, "").length == 2
    assert Family("histogram", (), 1, "").length == len(BOUNDS_MS) + 2


def test_bounds_rise() -> None:
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
