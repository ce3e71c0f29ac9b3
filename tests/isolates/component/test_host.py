"""The host of a program as a whole: nothing that a program says can break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.component.host import Exit, Host
from pyworkerd_isolates.component.preview1 import CgiHost
from pyworkerd_isolates.errors import OutputTooLarge, ProtocolError, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import Done, Fail
from pyworkerd_isolates.wasm.questions import CONTINUE, KINDS

from tests.isolates.component.programs import LINE, NAMES, Asker

SMALL = st.integers(0, 40)
WORD = st.one_of(SMALL, st.integers(0, (1 << 20) + 8), st.integers(0, (1 << 32) - 1))
LONG = st.one_of(SMALL, st.integers(0, (1 << 64) - 1))


def values(name):
    kinds = KINDS[name].partition(":")[0]
    return st.tuples(st.just(name), *[LONG if kind == "l" else WORD for kind in kinds])


QUESTIONS = st.lists(st.sampled_from(NAMES).flatmap(values), max_size=25)


@given(QUESTIONS, st.booleans())
def test_any_questions(questions, cgi):
    asker = Asker(CgiHost if cgi else Host, body=b"abc", bindings=[("KV", "kv", 1)])
    try:
        for question in questions:
            if not cgi and question[0].startswith("wasi_"):
                continue
            if asker.ask(*question) is None:
                asker.effects()
                break
    except (Trap, ProtocolError, Exit):
        return
    asker.effects(over=True)


def test_questions_out_of_turn():
    asker = Asker()
    with pytest.raises(Trap, match="was not asked to do"):
        asker.host.ask([CONTINUE, *[0] * 9])
    with pytest.raises(Trap, match="there is not"):
        asker.host.ask([len(NAMES), *[0] * 9])
    with pytest.raises(Trap, match="there is not"):
        asker.host.ask([-2, *[0] * 9])
    question = [NAMES.index(f"{LINE}incoming-request.path-with-query"), asker.request, *[0] * 8]
    assert asker.host.ask(question) >> 32
    with pytest.raises(Trap, match="asked for memory"):
        asker.host.ask(question)


def test_what_a_step_gives_out_is_bounded():
    asker = Asker(meta={"log_bytes": 1 << 40})
    stream = asker.ask("wasi:cli/stdout get-stdout")
    lines = asker.memory.put("\n" * 5000)
    with pytest.raises(OutputTooLarge, match="effects"):
        for _ in range(3):
            asker.ask("wasi:io/streams output-stream.write", stream, *lines, 0)


def test_what_is_held_is_bounded():
    asker = Asker()
    me = asker.fields(("a", b"x" * 100_000))
    with pytest.raises(OutputTooLarge, match="held"):
        for _ in range(100):
            asker.ask(f"{LINE}fields.clone", me)


@pytest.mark.parametrize("kind", ["rpc", "handle"])
def test_what_no_program_can_do(kind):
    asker = Asker()
    events = Events()
    getattr(events, kind)(5, None, None, "name", b"")
    asker.tell(events)
    fail, done = asker.effects(over=True)
    assert isinstance(fail, Fail)
    assert (fail.invocation, done) == (5, Done(5))


def test_its_caller_goes():
    asker = Asker()
    events = Events()
    events.cancel(1)
    asker.tell(events)
    assert asker.host.cancelled
