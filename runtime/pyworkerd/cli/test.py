"""`pyworkerd test [CONFIG] [FILTER...]`: run the `test` handlers that workers export."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Worker

from pyworkerd.chores import Chores
from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.observe import logs
from pyworkerd.observe.text import one_line, printable
from pyworkerd.problems import FAILED
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.supervisor.reports import Readable
from pyworkerd.testing.handlers import TIMEOUT_S, Filter, Outcome, find
from pyworkerd.testing.handlers import run as run_case

from .configuration import NAMES, add_named, paths_of, read_configuration, tell_warnings
from .terminal import has_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_config import Config

    from pyworkerd.testing.handlers import Case

OWN_NAMES: Final = ("test.toml", *NAMES)
"""What is looked for in the working directory if no configuration is named: tests may have one of their own."""
SUFFIXES: Final = frozenset(Path(name).suffix for name in NAMES) | {".capnp"}
MOST_NAMED: Final = 20
"""Tests that are named where none is meant."""
_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd test;  pyworkerd test config.toml 'shop:*';  pyworkerd test --json"
    parser.add_argument(
        "names",
        nargs="*",
        metavar="CONFIG|FILTER",
        help=(
            "the configuration, if it is a file (default: the first of "
            f"{', '.join(OWN_NAMES)} that is here), and which tests: SERVICE or SERVICE:ENTRYPOINT, as globs"
        ),
    )
    add_named(parser)
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="how long one test may take (default: %(default)g)",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the tests, and run none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(ALLOW, action="store_true", help=ALLOW_HELP)


def run(options: argparse.Namespace) -> int:
    """Run them; 1 if one fails or there is none. Raises `ConfigError`, `ConfigurationError`."""
    options.config, filters = told_apart(options.names, named=bool(options.named))
    if any(path.suffix == ".capnp" for path in paths_of(options, OWN_NAMES)):
        options.constant, filters = constant_of(filters)
    config = read_configuration(options, OWN_NAMES)
    tell_warnings(config)
    wanted = [Filter.of(text) for text in filters]
    with tempfile.TemporaryDirectory(prefix="pyworkerd-") as folder:  # tests find the stores empty
        return asyncio.run(_run(_for_tests(config), Path(folder), wanted, options))


def told_apart(names: Sequence[str], *, named: bool) -> tuple[Path | None, list[str]]:
    """The configuration and the filters: the first name is a file if it looks like one."""
    if names and not named and (Path(names[0]).suffix in SUFFIXES or Path(names[0]).is_file()):
        return Path(names[0]), list(names[1:])
    return None, list(names)


def constant_of(filters: Sequence[str]) -> tuple[str, list[str]]:
    """The constant of workerd's file that is the configuration, and what is left of the filters: workerd writes
    `CONSTANT:SERVICE:ENTRYPOINT`."""
    split = [text.split(":", 2) for text in filters]
    constants = {parts[0] for parts in split if len(parts) == 3}
    if len(constants) != 1:
        return "", list(filters)
    return constants.pop(), [":".join(parts[-2:]) for parts in split]


def _for_tests(config: Config) -> Config:
    """Nothing happens that no test has asked for, and all workers are there."""
    services = tuple(
        replace(service, kind=replace(service.kind, crons=()))
        if isinstance(service.kind, Worker)
        else service
        for service in config.services
    )
    return replace(config, services=services, deploy="eager")


async def _run(
    config: Config, state_dir: Path, filters: Sequence[Filter], options: argparse.Namespace
) -> int:
    sink = logs.Readable(sys.stderr, colour=has_colours(sys.stderr))
    settings = RuntimeOptions(
        state_dir=state_dir,
        progress=Readable().progress,
        sinks=(sink,),
        allow_trusted=options.allow_trusted,
    )
    report: Report = Json() if options.json else Text(colour=has_colours(sys.stdout))
    async with Runtime(config, settings) as runtime:
        chores = Chores(runtime, certificates=False)
        chores.start()
        try:
            cases = find(runtime, filters)
            if not cases:
                report.missed(find(runtime, ()))
            if options.list:
                report.listed(cases)
                return 0 if cases else FAILED
            for case in cases:
                report.begins(case)
                report.ended(await run_case(runtime, case, options.timeout))
            with suppress(TimeoutError):
                async with asyncio.timeout(options.timeout):
                    await runtime.quiet()  # what tests have promised, and what tail workers are told of them
        finally:
            await chores.aclose()
    return 0 if report.summary() else FAILED


class Report:
    """What is told of the tests."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @property
    def failed(self) -> int:
        """How many tests have failed."""
        return sum(outcome.failure is not None for outcome in self.outcomes)

    def missed(self, cases: Sequence[Case]) -> None:
        """None is meant; without filters it would be these."""

    def listed(self, cases: Sequence[Case]) -> None:
        """These are there."""

    def begins(self, case: Case) -> None:
        """One begins."""

    def ended(self, outcome: Outcome) -> None:
        """It has ended."""
        self.outcomes.append(outcome)

    def summary(self) -> bool:
        """All have ended. Returns whether that is a success: there was one, and none failed."""
        return bool(self.outcomes) and not self.failed


class Text(Report):
    """For people, in workerd's words."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._green, self._red, self._plain = (_GREEN, _RED, _PLAIN) if colour else ("", "", "")

    def missed(self, cases: Sequence[Case]) -> None:
        """See `Report`."""
        if cases:
            names = [_name(case) for case in cases[:MOST_NAMED]]
            rest = [f"{len(cases) - MOST_NAMED} more"] if len(cases) > MOST_NAMED else []
            sys.stderr.write(f"error: no test is meant by that: there are {', '.join(names + rest)}\n")
        else:
            sys.stderr.write("error: no tests found: export an entrypoint with a `test` handler\n")

    def listed(self, cases: Sequence[Case]) -> None:
        """See `Report`."""
        for case in cases:
            _line(_name(case))

    def begins(self, case: Case) -> None:
        """See `Report`."""
        _line(f"[ TEST ] {_name(case)}")

    def ended(self, outcome: Outcome) -> None:
        """See `Report`."""
        super().ended(outcome)
        colour, word = (self._green, "PASS") if outcome.failure is None else (self._red, "FAIL")
        _line(f"{colour}[ {word} ]{self._plain} {_name(outcome.case)} ({outcome.seconds * 1000:.0f} ms)")
        if (failure := outcome.failure) is not None:
            place = f"{failure.file}:{failure.line}: " if failure.file else ""
            _line(_set_in(f"{place}{failure.message}"))
            if failure.traceback:
                _line(_set_in(failure.traceback))

    def summary(self) -> bool:
        """See `Report`."""
        if self.outcomes:
            passed = len(self.outcomes) - self.failed
            _line(f"{passed} passed, {self.failed} failed")
        return super().summary()


class Json(Report):
    """For programs: one document at the end."""

    def listed(self, cases: Sequence[Case]) -> None:
        """See `Report`."""
        _line(json.dumps({"ok": bool(cases), "tests": [case._asdict() for case in cases]}))

    def summary(self) -> bool:
        """See `Report`."""
        success = super().summary()
        tests = [_described(outcome) for outcome in self.outcomes]
        _line(json.dumps({"ok": success, "failed": self.failed, "tests": tests}))
        return success


def _described(outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.case._asdict(),
        "ok": outcome.failure is None,
        "milliseconds": round(outcome.seconds * 1000, 2),
        "failure": None if outcome.failure is None else outcome.failure._asdict(),
    }


def _name(case: Case) -> str:
    """A program chooses the names of what it exports: any text in JavaScript."""
    return one_line(str(case))


def _set_in(text: str) -> str:
    return "    " + printable(text).rstrip("\n").replace("\n", "\n    ")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, more than 0")
    return seconds
