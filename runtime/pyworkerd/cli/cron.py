"""`pyworkerd cron`: when `scheduled` handlers run next, and a run by hand."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyworkerd_config import load

from pyworkerd.cron.plan import jobs_of
from pyworkerd.errors import ConfigurationError, PyworkerdError
from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.observe import logs
from pyworkerd.problems import FAILED, Refusal
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.supervisor.reports import Readable

from .terminal import has_colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pyworkerd.cron.plan import Job


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd cron list config.toml;  pyworkerd cron run config.toml shop '0 3 * * *'"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print every cron expression, and when it is due next (UTC)")
    running = verbs.add_parser(
        "run",
        help="run a worker's scheduled handler now, in a process of its own, and wait until it has ended",
    )
    for sub in (listing, running):
        sub.add_argument(
            "config", type=Path, metavar="CONFIG", help="the configuration, for example config.toml"
        )
        sub.add_argument("--json", action="store_true", help="print JSON")
    running.add_argument(ALLOW, action="store_true", help=ALLOW_HELP)
    running.add_argument("worker", metavar="WORKER", help="the name of its service")
    running.add_argument(
        "cron",
        nargs="?",
        default=None,
        metavar="EXPRESSION",
        help="the expression that it is run for; may be left out where the worker has only one",
    )


def run(options: argparse.Namespace) -> int:
    """List, or run. Raises `ConfigError`, `ConfigurationError`, and what the handler fails with."""
    config = load(options.config)
    jobs = tuple(jobs_of(config))
    if options.verb == "list":
        _list(jobs, as_json=options.json)
        return 0
    expression = options.cron if options.cron is not None else _only(jobs, options.worker)

    async def once() -> None:
        sink = logs.Readable(sys.stderr, colour=has_colours(sys.stderr))
        runtime = RuntimeOptions(
            progress=Readable().progress, sinks=(sink,), allow_trusted=options.allow_trusted
        )
        async with Runtime(config, runtime) as opened:
            worker = await opened.deploy(options.worker)
            try:
                await worker.scheduled(expression)
            except ConfigurationError:
                raise
            except PyworkerdError as error:
                raise Refusal.of(
                    f"the cron {expression!r} of {options.worker!r} failed: {error}", FAILED
                ) from error
            finally:
                await opened.quiet()

    asyncio.run(once())
    _say({"ok": True, "worker": options.worker, "cron": expression}, "ok", as_json=options.json)
    return 0


def _only(jobs: Sequence[Job], worker: str) -> str:
    found = [job.cron.expression for job in jobs if job.worker == worker]
    if len(found) == 1:
        return found[0]
    known = f"it has {', '.join(map(repr, found))}" if found else "the configuration gives it none"
    raise ConfigurationError(f"say which cron expression {worker!r} is run for: {known}")


def _list(jobs: Sequence[Job], *, as_json: bool) -> None:
    now = datetime.now(UTC)
    rows = [(job.worker, job.cron.expression, job.cron.after(now)) for job in jobs]
    if as_json:
        _say([{"worker": w, "cron": c, "next": at.isoformat()} for w, c, at in rows], "", as_json=True)
        return
    width = max((len(worker) for worker, _, _ in rows), default=0)
    for worker, cron, at in rows:
        sys.stdout.write(f"{worker:{width}}  {at:%Y-%m-%d %H:%M}  {cron}\n")


def _say(value: Any, text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(value) if as_json else text) + "\n")
