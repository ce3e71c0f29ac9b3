"""Run cases, each as a worker of its own in one runtime."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd import Limits, PyworkerdError, Runtime

from .results import Result
from .site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from .checkout import Case, Checkout

GUEST: Final = Path(__file__).parent / "guest"
GRACE_S: Final = 15
"""What a file's time is exceeded by before nobody waits for its answer any more."""
CPU_MS: Final = 60_000
"""For one file: its tests are many, and an interpreter runs them."""
LIMITS: Final = Limits(
    cpu_ms=CPU_MS, memory_mb=256, subrequests=10_000, calls=100_000, startup_ms=10_000, isolates=1
)


def program(checkout: Checkout, case: Case, seconds: float) -> dict[str, str]:
    """The files of the worker that runs a case. Raises `LookupError` if a script of it is missing."""
    about = {
        "address": case.address,
        "title": case.meta.title or Path(case.path).name.partition(".")[0],
        "timeout_ms": int(seconds * 1000),
    }
    ours = {path.name: path.read_text() for path in sorted(GUEST.glob("*.js"))}
    source = checkout.script(case)
    return {"main.js": ours.pop("main.js"), **ours, "about.json": json.dumps(about), "source.txt": source}


async def run_case(runtime: Runtime, checkout: Checkout, case: Case, most_s: float) -> Result:
    """Run one. What goes wrong around it, in the product or the checkout, is a failure of the file."""
    seconds = min(case.meta.seconds, most_s)
    try:
        files = await asyncio.to_thread(program, checkout, case, seconds)
        async with (
            asyncio.timeout(seconds + GRACE_S + CPU_MS / 1000),
            await runtime.load(files, limits=LIMITS, network=Site(checkout), frozen=False) as worker,
        ):
            response = await worker.fetch(case.address)
            return Result.of(case.name, await response.json())
    except LookupError as error:
        return Result.broken(case.name, str(error))
    except PyworkerdError as error:
        return Result.broken(case.name, f"{type(error).__name__}: {error}")
    except TimeoutError:
        return Result.broken(case.name, "the worker did not answer")


async def run_cases(
    checkout: Checkout, cases: Iterable[Case], *, at_once: int = 2, most_s: float = 60
) -> AsyncIterator[Result]:
    """Run all, in order, so many at once. No case has more seconds than `most_s`."""
    gate = asyncio.Semaphore(at_once)

    async def one(case: Case) -> Result:
        async with gate:
            return await run_case(runtime, checkout, case, most_s)

    async with Runtime() as runtime, asyncio.TaskGroup() as group:
        for task in [group.create_task(one(case)) for case in cases]:
            yield await task
