"""A program's instance: where its questions come out."""

from math import inf

import pytest
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.component import compiler
from pyworkerd_isolates.component.image import build_program
from pyworkerd_isolates.errors import ClosedIsolate, Trap
from pyworkerd_isolates.native import Machine

from tests.isolates.component.programs import HELLO, compiled_here


@pytest.fixture
def instance(programs):
    made = programs(HELLO).instance(1 << 20)
    yield made
    made.close()


def test_questions_come_out_and_answers_go_in(instance):
    instance.seed(bytes(32))
    instance.start(5, 1, 2)
    asked = []

    def ask(question):
        asked.append(question)
        return 7 if len(asked) % 2 else None

    states = []
    while not states or states[-1] != "over":
        states.append(instance.run(1000, ask, inf))
        if states[-1] == "waits":
            instance.answer_with(7)
    assert states.count("waits") == len(asked) // 2
    with pytest.raises(ClosedIsolate, match="no call"):
        instance.run(1000, ask, inf)
    assert asked[1][1] == 7  # the fields that it got are what the response is made of
    assert all(len(question) == 10 for question in asked)


def test_who_asks_all_the_time_pauses(instance):
    instance.start(5, 1, 2)
    assert instance.run(1000, lambda _: 7, 0.0) == "paused"
    assert instance.run(1000, lambda _: None, inf) == "waits"


def test_its_memory_has_an_end(instance):
    assert instance.memory_size == 2 << 16
    instance.write((2 << 16) - 2, b"ab")
    assert instance.read((2 << 16) - 2, 2) == b"ab"
    for at in ((2 << 16) - 1, 1 << 40):
        with pytest.raises(Trap, match="outside"):
            instance.read(at, 2)
        with pytest.raises(Trap, match="outside"):
            instance.write(at, b"ab")


def test_one_that_waits_can_be_closed(instance):
    instance.start(5, 1, 2)
    assert not instance.go_on(1000)
    instance.close()


def test_a_call_that_was_given_up_takes_no_answer(instance):
    instance.start(5, 1, 2)
    assert instance.run(1000, lambda _: None, inf) == "waits"
    instance.abandon()
    with pytest.raises(ClosedIsolate, match="no question"):
        instance.answer_with(7)


def test_each_machine_has_a_function_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    for _ in range(2):
        machine = Machine()
        image = build_program(machine, Cache(tmp_path), Bundle.of({"a.wasm": HELLO}))
        made = image.instance(1 << 20)
        made.start(5, 1, 2)
        assert not made.go_on(1000)
        for each in (made, image, machine):
            each.close()
