"""Triggers that no handler answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.triggers import unanswered
from pyworkerd_config.model import Config, Queue, Service, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = tuple(f"{minute} * * * *" for minute in range(6))


@pytest.mark.parametrize(
    ("crons", "queues", "handlers", "expected"),
    [
        ((), (), (), []),
        (("* * * * *",), ("jobs",), ("scheduled", "queue"), []),
        ((), ("jobs",), ("fetch",), ["consumes queues, but has no handler `queue`: messages of 'jobs' wait"]),
        (
            ("* * * * *",),
            (),
            ("fetch", "queue"),
            ["has crons, but no handler `scheduled`: '* * * * *' will fail each time"],
        ),
        (
            MANY,
            (),
            (),
            [f"has crons, but no handler `scheduled`: {str(MANY[:5])[1:-1]}, ... will fail each time"],
        ),
    ],
)
def test_what_no_handler_answers_is_named(
    crons: tuple[str, ...], queues: tuple[str, ...], handlers: tuple[str, ...], expected: list[str]
) -> None:
    worker = Worker(Path("w.py"), Path(), crons=crons)
    named = [Queue(name, consumer="w") for name in queues] + [Queue("other", consumer="else")]
    assert list(unanswered(Config(queues=tuple(named)), "w", worker, handlers)) == expected


@pytest.mark.parametrize("told", [True, False])
def test_a_deploy_tells_it(with_runtime: Callable[..., None], tmp_path: Path, *, told: bool) -> None:
    main = tmp_path / "w.py"
    main.write_text(f"async def {'on_fetch' if told else 'on_scheduled'}(*_): pass")
    entries: list[Any] = []

    async def look(runtime: Runtime) -> None:
        assert [entry.message for entry in entries if entry.level == "warning"] == (
            ["has crons, but no handler `scheduled`: '* * * * *' will fail each time"] if told else []
        )

    config = Config(services=(Service("w", Worker(main, tmp_path, crons=("* * * * *",))),))
    with_runtime(look, config, RuntimeOptions(sinks=(entries.append,)))
