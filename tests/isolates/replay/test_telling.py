"""How events and effects are told: with the names of their fields, whatever is in them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import Call, Log, Part, Respond
from pyworkerd_isolates.replay.telling import EVENTS, SHOWN, effect_fields, event_fields, line, read_events

VALUES: dict[str, Any] = {
    "bytes": b"x", "int": 1, "bool": True, "str": "x", "object": None, "HeaderPairs": (), "int | None": 1,
    "str | None": "x", "bytes | StreamRef | None": b"body", "Sequence[int]": [1],
    "Sequence[int | StreamRef] | None": [1],    "dict[str, object]": {},
    "Sequence[Entry]": (("NAME", "value", wire.dump_value("it")), ("KV", "kv", 1)),
}  # fmt: skip
MAKERS = [
    name for name in vars(Events)
    if not name.startswith("_") and name not in ("parts", "frame", "short_frame")
]  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_every_event_of_the_host_is_told_by_the_names_of_its_fields(maker: str) -> None:
    events = Events()
    if maker == "become":
        events.init([], {})
    parameters = list(inspect.signature(getattr(Events, maker)).parameters.values())[1:]
    getattr(events, maker)(*(VALUES[each.annotation] for each in parameters))
    event, blobs = events.parts()[0][-1], events.parts()[1]
    told = event_fields(event, blobs)
    assert "fields" not in told, f"{maker} is not in the table of telling.py"
    assert told.pop("kind") in EVENTS


def test_bytes_are_told_as_what_they_are() -> None:
    events = Events()
    events.init(VALUES["Sequence[Entry]"], {})
    events.rpc(1, None, None, "add", wire.dump_value([[1], {}]))
    events.data(2, b"\xff" * 40, False)
    made, blobs = events.parts()
    assert event_fields(made[0], blobs)["bindings"] == {"NAME": "it", "KV": "<kv>"}
    assert event_fields(made[1], blobs)["arguments"] == [[1], {}]
    assert event_fields(made[2], blobs)["data"] == {"bytes": 40, "begins": "ff" * 32}


@pytest.mark.parametrize(
    "event", [["fetch"], ["nobody", 1], ["resolve"], ["resolve", 1], ["init", [[1], "x"], {}], ["rpc", 1, 2, 3, 4, 99],
              ["fetch", 1, None, None, "GET", "x", [], ["b"]], ["data", 1, -1, True]]
)  # fmt: skip
def test_forged_events_are_told_as_well(event: list[Any]) -> None:
    assert line(event_fields(event, [b"x"]))


@pytest.mark.parametrize("frame", [b"", b"\1\0\0\0x", wire.encode({}), wire.encode([[]]), wire.encode([[1]])])
def test_what_is_no_list_of_events_is_refused(frame: bytes) -> None:
    with pytest.raises(RecordingError):
        read_events(frame)


def test_effects_are_lines() -> None:
    assert line(effect_fields(Log(1, "info", "stdout", "hi"))) == (
        "log invocation=1 level='info' source='stdout' message='hi'"
    )
    part = effect_fields(Call(1, 2, Part(3, "a" * 64), "add", wire.dump_value([[1], {}])))
    assert part["capability"] == {"capability": 3, "id": "a" * 64, "name": None}
    assert part["arguments"] == [[1], {}]
    long = line(effect_fields(Respond(1, 200, (), b"x" * 10_000)))
    assert len(long) < 2 * SHOWN
    assert "characters more" in long
