"""Triggers that no handler answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.triggers import unanswered
from pyworkerd_config.model import Assets, Binding, Config, Queue, Service, Socket, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER = Worker(Path("w.py"), Path())
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


FETCH = (
    "has no handler `fetch`, and requests come to it ({}), which will fail each time: "
    "write one in its default export"
)


@pytest.mark.parametrize(
    ("config", "handlers", "expected"),
    [
        (Config(sockets=(Socket("http", "x", "w"),)), (), FETCH.format("'http'")),
        (Config(sockets=(Socket("http", "x", "w"),)), ("fetch",), None),
        (Config(sockets=(Socket("http", "x", "else"),)), (), None),
        (Config(services=(Service("w", WORKER, ("/a/*", "/b")),)), (), FETCH.format("'/a/*', '/b'")),
        (Config(services=(Service("else", WORKER, ("/a/*", "/b")),)), (), None),
    ],
)
def test_requests_that_nobody_answers(
    config: Config, handlers: tuple[str, ...], expected: str | None
) -> None:
    told = list(unanswered(config, "w", WORKER, handlers))
    assert [each.partition(" (Python")[0] for each in told] == ([] if expected is None else [expected])
    assert list(unanswered(config, "w", replace(WORKER, assets=Assets(Path())), handlers)) == []


def test_classes_that_nobody_exports() -> None:
    def named(**bindings: str | None) -> Service:
        found = tuple(
            Binding(name, "durable_object", name, {} if of is None else {"service_name": of})
            for name, of in bindings.items()
        )
        return Service("w" if None in bindings.values() else "other", replace(WORKER, bindings=found))

    config = Config(services=(named(Room=None, Game=None), named(Room="w", Chat="w", Else="other")))
    assert list(unanswered(config, "w", WORKER, ("fetch",), ("Game",))) == [
        "exports no Durable Object class 'Room', 'Chat', and bindings lead there: they will fail each time"
    ]


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
