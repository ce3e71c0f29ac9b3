"""What counts as a surprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .results import FILE, Area, Expectations, Result, by_area, read_expectations, surprises

if TYPE_CHECKING:
    from pathlib import Path


def result(case: str, file: str = "OK", **subtests: str) -> Result:
    each: list[dict[str, Any]] = [{"name": name, "status": status} for name, status in subtests.items()]
    return Result.of(case, {"status": file, "message": None, "subtests": each})


EXPECTED = Expectations(
    {"why": "It cannot."},
    {
        "a.any.js": {"known": "why", FILE: "why", "absent": "why"},
        "c.any.js": {"*": "why"},
        "v.any.js": {"one": "why"},
    },
)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (result("c.any.js", "ERROR", one="PASS", two="FAIL"), []),
        (result("v.any.js?1", one="PASS", two="FAIL"), ["one", "two"]),
        (result("b.any.js", one="PASS", two="PRECONDITION_FAILED"), []),
        (result("b.any.js", one="FAIL", two="TIMEOUT", three="NOTRUN"), ["one", "two", "three"]),
        (result("b.any.js", "ERROR"), [FILE]),
        (Result.broken("b.any.js", "ExceededCpu"), [FILE]),
        (result("a.any.js", "TIMEOUT", known="FAIL", other="PASS"), []),
        (result("a.any.js", "TIMEOUT", known="PASS", other="FAIL"), ["known", "other"]),
        (result("a.any.js", "OK", known="FAIL"), [FILE]),
    ],
)
def test_surprises(found: Result, names: list[str]) -> None:
    assert [surprise.subtest.name for surprise in surprises([found], EXPECTED)] == names


def test_counts() -> None:
    results = [
        result("dom/abort/a.any.js", one="PASS", two="FAIL"),
        result("dom/events/b.any.js", "ERROR", one="PASS"),
        result("dom/abort/c.any.js", one="PRECONDITION_FAILED"),
    ]
    counted = by_area(results, ["dom", "dom/abort"])
    assert counted == [Area("dom", 1, 1, 2), Area("dom/abort", 2, 2, 3)]


def test_what_is_skipped() -> None:
    expected = Expectations(skips={"dom/": "a", "url/x.any.js": "b", "url/y.any.js?2": "c"})
    cases = ["dom/deep/a.any.js", "url/x.any.js?1", "url/y.any.js?2", "url/y.any.js?1", "domain/a.any.js"]
    assert [expected.reason_to_skip(case) for case in cases] == ["a", "b", "c", None, None]


def test_a_reason_has_to_be_told(tmp_path: Path) -> None:
    file = tmp_path / "expectations.toml"
    file.write_text('[reasons]\nwhy = "It cannot."\n[fails."a.any.js"]\n"one" = "why"\n"two" = "nope"\n')
    with pytest.raises(ValueError, match="no reason is called nope"):
        read_expectations(file)
