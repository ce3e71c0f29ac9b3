"""Run upstream's web-platform-tests in JavaScript workers: `python -m tests.wpt.run --root CHECKOUT [AREA|FILE ...]`.

A checkout is a clone of https://github.com/web-platform-tests/wpt, or a folder that holds some of it. Each file runs
in a worker of its own, under `guest/harness.js`, which stands for upstream's testharness.js. `expectations.toml` says
what is known to fail, and why. Exit status: 0 all is as expected, 1 something is not, 2 the arguments are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .checkout import Checkout
from .results import FILE, by_area, read_expectations, surprises
from .running import run_cases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .checkout import Case
    from .results import Expectations, Result, Surprise

EXPECTATIONS = Path(__file__).parent / "expectations.toml"
AREAS = (
    "FileAPI",
    "WebCryptoAPI",
    "compression",
    "dom/abort",
    "dom/events",
    "encoding",
    "fetch/api/abort",
    "fetch/api/basic",
    "fetch/api/body",
    "fetch/api/headers",
    "fetch/api/request",
    "fetch/api/response",
    "streams",
    "url",
    "urlpattern",
    "xhr/formdata",
)
"""What is run where nothing is named, as far as the checkout has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print the table of areas, and what was not expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.wpt.run", description=__doc__.partition("\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="AREA|FILE", help="default: " + " ".join(AREAS))
    parser.add_argument("--root", type=Path, required=True, help="the checkout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result there")
    parser.add_argument("--timeout", type=float, default=60, help="most seconds for a file (default 60)")
    parser.add_argument("--jobs", type=int, default=2, help="files at once (default 2)")
    parser.add_argument("--expectations", type=Path, default=EXPECTATIONS, metavar="FILE")
    parser.add_argument("--all", action="store_true", help="run what the expectations skip as well")
    parser.add_argument("--verbose", action="store_true", help="with what was expected to fail, and stacks")
    options = parser.parse_args(arguments)
    checkout = Checkout(options.root)
    wanted = options.wanted or [area for area in AREAS if (checkout.root / area).is_dir()]
    try:
        expected = read_expectations(options.expectations)
        cases = list(checkout.cases(wanted))
    except (LookupError, ValueError, OSError) as error:
        parser.error(str(error))
    chosen = [case for case in cases if options.all or expected.reason_to_skip(case.name) is None]
    results = asyncio.run(_run(checkout, chosen, options.jobs, options.timeout))
    if options.json is not None:
        options.json.write_text(json.dumps([dataclasses.asdict(result) for result in results], indent=1))
    _print_table(results, wanted, len(cases) - len(chosen))
    if options.verbose:
        _print_expected(results, expected)
    found = surprises(results, expected)
    for surprise in found:
        _print_surprise(surprise, stack=options.verbose)
    print(f"{len(found)} not as expected" if found else "all as expected")
    return 1 if found else 0


async def _run(checkout: Checkout, cases: list[Case], jobs: int, most_s: float) -> list[Result]:
    results = []
    async for result in run_cases(checkout, cases, at_once=jobs, most_s=most_s):
        results.append(result)
        if sys.stderr.isatty():
            print(
                f"\r{len(results)}/{len(cases)} {result.case[:70]:<70}", end="", file=sys.stderr, flush=True
            )
    return results


def _print_table(results: Sequence[Result], wanted: Sequence[str], skipped: int) -> None:
    print(f"{'area':<28}{'files':>7}{'passed':>9}{'of':>9}")
    areas = by_area(results, wanted)
    for area in areas:
        print(f"{area.name:<28}{area.files:>7}{area.passed:>9}{area.total:>9}")
    files, passed, total = (
        sum(getattr(area, name) for area in areas) for name in ("files", "passed", "total")
    )
    print(f"{'all':<28}{files:>7}{passed:>9}{total:>9}   ({skipped} files skipped)")


def _print_expected(results: Sequence[Result], expected: Expectations) -> None:
    for result in results:
        for name, reason in expected.rows(result.case).items():
            print(f"expected: {result.case}: {name}: {expected.reasons[reason]}")


def _print_surprise(surprise: Surprise, *, stack: bool) -> None:
    subtest = surprise.subtest
    where = surprise.case if subtest.name == FILE else f"{surprise.case}: {subtest.name}"
    if surprise.expected is not None:
        print(f"PASSES, delete its row ({surprise.expected}): {where}")
        return
    print(f"{subtest.status}: {where}\n    {(subtest.message or '').strip()}")
    if stack and subtest.stack:
        print("    " + subtest.stack.strip().replace("\n", "\n    "))


if __name__ == "__main__":
    sys.exit(main())
