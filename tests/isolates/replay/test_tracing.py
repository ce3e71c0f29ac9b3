"""Replays that show the lines of a worker: as equal as without, and only of workers in Python."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.replay.again import replay
from pyworkerd_isolates.replay.recording import Step
from pyworkerd_isolates.replay.tracer import SOURCE
from pyworkerd_isolates.replay.tracing import place_of, roomier, sift, traced
from pyworkerd_isolates.testing import bundle_of

from tests.isolates.replay.test_isolates import LIMITS, SOURCES, record
from tests.isolates.replay.test_recording import RECORDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.images import Images

WORKER = """
import asyncio, random
from workers import Response, WorkerEntrypoint
from shop.prices import price

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await asyncio.sleep(0)
        try:
            price(request.url[-1])
        except KeyError:
            pass
        return Response(str(random.random()))
"""
PRICES = """
def price(kind):
    known = {"a": 1}
    return known[kind]
"""
SHOP = {"worker.py": WORKER, "shop/__init__.py": "", "shop/prices.py": PRICES}


def lines_of(images: Images, path: str, wanted: Sequence[tuple[str, int]] | None) -> list[tuple[Any, ...]]:
    """What ran of a recorded request, in a replay that is equal."""
    bundle = bundle_of(SHOP)
    image, other = images.get(bundle, LIMITS), images.get(traced(bundle, wanted), roomier(LIMITS))
    try:
        tape = record(image, path)
        recording = replace(RECORDING, key=tape.key, steps=tuple(tape.steps), hidden=())
        steps = list(replay(recording, other, roomier(LIMITS)))
        assert [each.difference for each in steps] == [None] * len(tape.steps)
        return [(ran.file, ran.line, ran.event, ran.value, ran.names) for each in steps for ran in each.lines]
    finally:
        images.release(image)
        images.release(other)


def test_the_lines_that_run_are_shown_with_their_names(images: Images) -> None:
    lines = lines_of(images, "b", None)
    assert [
        (file, line, event, value) for file, line, event, value, _ in lines if file == "shop/prices.py"
    ] == [
        ("shop/prices.py", 3, "line", None),
        ("shop/prices.py", 4, "line", None),
        ("shop/prices.py", 4, "exception", "KeyError"),
        ("shop/prices.py", 4, "return", "None"),
    ]
    assert lines[1][:3] == ("worker.py", 9, "line"), "waiting and going on is no event"
    assert {file for file, *_ in lines} == {"worker.py", "shop/prices.py"}


def test_only_the_wanted_ones_are(images: Images) -> None:
    lines = lines_of(images, "a", [("shop/prices.py", 4)])
    assert [(line, event, names) for _, line, event, _, names in lines] == [
        (4, "line", {"kind": "'a'", "known": "{'a': 1}"}),
        (4, "return", {"kind": "'a'", "known": "{'a': 1}"}),
    ]


def test_what_cannot_be_traced_is_refused() -> None:
    with pytest.raises(RecordingError, match="only workers in Python"):
        traced(bundle_of(SOURCES["javascript"]), None)
    with pytest.raises(
        RecordingError, match=r"no file 'x.py'; it has shop/__init__.py, shop/prices.py, worker.py"
    ):
        traced(bundle_of(SHOP), [("x.py", 1)])


@pytest.mark.parametrize("text", ["", "x.py", "x.py:", ":1", "x.py:-1", "x.py:one", "x.py:12345678"])
def test_a_place_is_a_file_and_a_line(text: str) -> None:
    assert place_of("a/b:c.py:12") == ("a/b:c.py", 12)
    with pytest.raises(ValueError, match="FILE:LINE"):
        place_of(text)


def test_a_worker_that_forges_lines_deceives_its_own_author_alone() -> None:
    forged = [json.dumps(each) for each in ([], ["w.py", "1"], ["w.py", 1, "f", "line", [], None, 1], {})]
    effects: list[Any] = [["log", 0, "debug", SOURCE, text] for text in (*forged, "no JSON")]
    effects += [["log", 1, "debug", SOURCE, "[]"], ["log", 0, "debug", "other", "[]"], ["done", 1], "odd", 7]
    step = Step(1, b"", wire.encode([None, effects]))
    sifted, lines = sift(step, Limits())
    assert lines == []
    assert sifted.answer is not None
    assert wire.decode(sifted.answer)[0][1] == effects
    for answer in (None, b"", b"\xff" * 9, wire.encode(None), wire.encode([1, 2, 3]), wire.encode([None, 5])):
        assert sift(Step(1, b"", answer), Limits()) == (Step(1, b"", answer), [])
