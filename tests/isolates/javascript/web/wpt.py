"""The data of the web-platform-tests, and which of it is known to fail."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parents[1] / "data/wpt"

_NO_SETS = "QuickJS has no mode `v`, so none of its sets inside of character classes"

EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "urlpatterntestdata": {
        '351: [{"pathname": "/([[a-z]--a])"}] on [{"pathname": "/a"}]': _NO_SETS,
        '352: [{"pathname": "/([[a-z]--a])"}] on [{"pathname": "/z"}]': _NO_SETS,
        '353: [{"pathname": "/([\\\\d&&[0-1]])"}] on [{"pathname": "/0"}]': _NO_SETS,
        '354: [{"pathname": "/([\\\\d&&[0-1]])"}] on [{"pathname": "/3"}]': _NO_SETS,
    }
}
"""By file: the case, as the test names it, and why it fails."""


def data(name: str) -> Any:
    """One of the files."""
    return json.loads(gzip.decompress((_DATA / f"{name}.json.gz").read_bytes()))


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file, without the comments between them."""
    return [case for case in data(name) if isinstance(case, dict)]


def check(file: str, outcomes: dict[str, Any]) -> None:
    """Every case has passed (its outcome is None) but the expected failures, and each of those has failed."""
    failed = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
    expected = EXPECTED_FAILURES.get(file, {})
    assert {name: failed[name] for name in failed.keys() - expected.keys()} == {}
    assert expected.keys() - failed.keys() == set(), "these pass: delete their rows"
