"""How a run went, and whether that is what was expected. Pure."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ANY: Final = "*"
"""A row for it allows each failure of a case: what the case is about is not there at all."""
FILE: Final = "(file)"
"""What the file itself is called among its subtests: it fails if its scripts do, or if it does not come to its end."""


class Status(StrEnum):
    """Of a subtest, as upstream names them; of a file also OK and ERROR."""

    OK = "OK"
    ERROR = "ERROR"
    PASS = "PASS"
    FAIL = "FAIL"
    TIMEOUT = "TIMEOUT"
    NOTRUN = "NOTRUN"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"

    @property
    def good(self) -> bool:
        """Whether it says that all is well. A precondition that does not hold makes no claim."""
        return self in (Status.OK, Status.PASS, Status.PRECONDITION_FAILED)


@dataclass(frozen=True, slots=True)
class Subtest:
    """One claim of a file."""

    name: str
    status: Status
    message: str | None = None
    stack: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How one case went."""

    case: str
    subtests: tuple[Subtest, ...]
    """The file itself is the first."""

    @classmethod
    def of(cls, case: str, found: Mapping[str, Any]) -> Result:
        """From what the guest answered."""
        own = Subtest(FILE, Status(found["status"]), found.get("message"))
        each = (
            Subtest(one["name"], Status(one["status"]), one.get("message"), one.get("stack"))
            for one in found["subtests"]
        )
        return cls(case, (own, *each))

    @classmethod
    def broken(cls, case: str, message: str) -> Result:
        """A file that gave no answer."""
        return cls(case, (Subtest(FILE, Status.ERROR, message),))


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is known to fail, by case and subtest, each with its reason; and what is not run."""

    reasons: Mapping[str, str] = field(default_factory=dict)
    fails: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skips: Mapping[str, str] = field(default_factory=dict)

    def rows(self, case: str) -> Mapping[str, str]:
        """Those of a case, by subtest; where it has a variant, those of the whole file are its as well."""
        return {**self.fails.get(case.partition("?")[0], {}), **self.fails.get(case, {})}

    def reason_to_skip(self, case: str) -> str | None:
        """Why a case is not run: its own row, or that of a folder that it lies in."""
        path = case.partition("?")[0]
        names = [case, path, *(path[: at + 1] for at, letter in enumerate(path) if letter == "/")]
        return next((self.skips[name] for name in names if name in self.skips), None)


def read_expectations(path: Path) -> Expectations:
    """From TOML: `[reasons]`, `[skip]` (folders end with a slash) and `[fails."case"]`; values name reasons.

    Raises `ValueError` for a reason that is not there.
    """
    found = tomllib.loads(path.read_text())
    expected = Expectations(found.get("reasons", {}), found.get("fails", {}), found.get("skip", {}))
    used = {*expected.skips.values(), *(reason for row in expected.fails.values() for reason in row.values())}
    if unknown := used - expected.reasons.keys():
        raise ValueError(f"{path.name}: no reason is called {', '.join(sorted(unknown))}")
    return expected


@dataclass(frozen=True, slots=True)
class Surprise:
    """What was not expected."""

    case: str
    subtest: Subtest
    expected: str | None
    """The reason for which it should have failed; None if it should have passed."""


def surprises(results: Iterable[Result], expected: Expectations) -> list[Surprise]:
    """Failures that have no row, and passes that have one. A row for a subtest that does not exist is none."""
    found = []
    for result in results:
        rows = expected.rows(result.case)
        for subtest in result.subtests:
            reason = rows.get(subtest.name)
            allowed = reason is not None or (ANY in rows and not subtest.status.good)
            if subtest.status.good == allowed:
                found.append(Surprise(result.case, subtest, reason))
    return found


@dataclass(frozen=True, slots=True)
class Area:
    """The counts of a folder. A file counts as a subtest where it fails by itself."""

    name: str
    files: int
    passed: int
    total: int


def by_area(results: Iterable[Result], areas: Sequence[str]) -> list[Area]:
    """Counts for the folders that were asked for; a case belongs to the longest that fits."""
    files: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for result in results:
        fitting = [area for area in areas if result.case.startswith(area)]
        area = max(fitting, key=len, default=result.case)
        files[area] += 1
        for subtest in result.subtests:
            if subtest.name == FILE and subtest.status.good:
                continue
            total[area] += 1
            passed[area] += subtest.status.good
    return [Area(area, files[area], passed[area], total[area]) for area in sorted(files)]
