"""Values in a program's memory: what is written is what the canonical ABI says, and nothing lies outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.component import abi
from pyworkerd_isolates.errors import MemoryExhausted, Trap
from pyworkerd_isolates.wasm.questions import ALLOCATE

from tests.isolates.component.programs import FakeMemory


def run(memory, answer):
    """What the generator answers, when it is given the memory that it asks for."""
    value = None
    try:
        while True:
            wanted = answer.send(value)
            kind, low = wanted >> 32, wanted & 0xFFFFFFFF
            if kind & 255 == ALLOCATE:
                value = memory.allocate(low, kind >> 8)
            else:
                for at in range(low, low + 8 * (kind >> 8), 8):
                    memory.write(at, memory.allocate(memory.number(at + 4)).to_bytes(4, "little"))
                value = low
    except StopIteration as end:
        return end.value


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_lists_of_strings(items):
    memory = FakeMemory()
    run(memory, abi.return_list(memory, 0, items))
    assert memory.texts(0) == items


def test_tuples_are_counted_once():
    memory = FakeMemory()
    run(memory, abi.return_list(memory, 0, [b"a", b"1", b"b", b""], 2))
    assert memory.number(4) == 2
    assert memory.texts(0, 2) == [b"a", b"1", b"b", b""]


def test_options_and_results():
    memory = FakeMemory()
    run(memory, abi.return_optional(memory, 0, b"yes"))
    assert (memory.number(0, 1), memory.text(4)) == (1, b"yes")
    run(memory, abi.return_optional(memory, 0, None))
    assert memory.number(0, 1) == 0
    run(memory, abi.return_ok_bytes(memory, 0, b"ok"))
    assert (memory.number(0, 1), memory.text(4)) == (0, b"ok")


class Full(FakeMemory):
    """One whose allocator has room for lists, and for nothing in them."""

    def allocate(self, size, align=1):
        return super().allocate(size, align) if align == 4 else 0


@pytest.mark.parametrize(
    "answer", [lambda memory: abi.put(memory, b"x"), lambda memory: abi.put_list(memory, [b"x"])]
)
def test_nothing_is_written_where_a_program_has_no_room(answer):
    memory = Full()
    with pytest.raises(MemoryExhausted):
        run(memory, answer(memory))
    assert memory.read(0, 8) == bytes(8)


def test_what_a_program_hands_over_is_bounded():
    memory = FakeMemory(1024)
    memory.write(0, b"\xff\xfe")
    with pytest.raises(Trap, match="not UTF-8"):
        abi.text(memory, 0, 2, 10)
    with pytest.raises(Trap, match="string of 11 bytes"):
        abi.text(memory, 0, 11, 10)
    with pytest.raises(Trap, match="list of 11 items"):
        abi.pairs(memory, 0, 11, 10)
    with pytest.raises(Trap, match="outside"):
        abi.pairs(memory, 1000, 10, 10)


def test_an_allocator_that_lies_hurts_nobody_else():
    memory = FakeMemory(1024)
    answer = abi.put(memory, b"text")
    next(answer)
    with pytest.raises(Trap, match="outside"):
        answer.send(1023)
