"""Blocks of a file: nobody has one that another has, and what is laid out in them is in order and whole."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pyworkerd_isolates.blocks import BLOCK, Blocks, blocks_for, scattered, spans

MOST = 12


class BlocksMachine(RuleBasedStateMachine):
    """Takes and gives in any order, against a plain set."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(MOST)
        self.held: list[tuple[int, ...]] = []

    @rule(count=st.integers(0, MOST + 1))
    def take(self, count: int) -> None:
        before = self.taken()
        got = self.blocks.take(count)
        if len(before) + count > MOST:
            assert got is None
            return
        assert got is not None
        assert len(got) == count
        assert list(got) == sorted(set(got))
        assert not before & set(got)
        assert not count or max(got) < MOST, "the file is never larger than its bound"
        self.held.append(got)

    @rule(place=st.integers(0, 100))
    def give(self, place: int) -> None:
        if self.held:
            self.blocks.give(self.held.pop(place % len(self.held)))

    def taken(self) -> set[int]:
        return {block for held in self.held for block in held}

    @invariant()
    def counts(self) -> None:
        taken = self.taken()
        assert self.blocks.used == len(taken)
        assert self.blocks.end == max(taken, default=-1) + 1, "what nobody has at the end is given back"


TestBlocks = BlocksMachine.TestCase


@given(blocks=st.sets(st.integers(0, 30), min_size=1), data=st.data())
def test_spans_are_the_blocks_in_order(blocks: set[int], data: st.DataObject) -> None:
    most = len(blocks) * BLOCK
    size = data.draw(st.integers(most - BLOCK + 1, most))
    assert blocks_for(size) == len(blocks)
    found = list(spans(sorted(blocks), size))
    assert sum(length for _, length in found) == size
    assert all(a + length < b for (a, length), (b, _) in pairwise(found)), "neighbours are one"
    for offset, length in found:
        assert {offset // BLOCK, (offset + length - 1) // BLOCK} <= blocks


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 2 * BLOCK), max_size=8),
    gaps=st.lists(st.integers(1, 3), min_size=20, max_size=20),
    most=st.integers(1, 4),
    longest=st.integers(1 << 14, 4 * BLOCK),
)
def test_buffers_are_laid_out_whole_and_in_order(
    sizes: list[int], gaps: list[int], most: int, longest: int
) -> None:
    buffers = [memoryview(bytes([number + 1]) * size) for number, size in enumerate(sizes)]
    numbers = [sum(gaps[: n + 1]) for n in range(blocks_for(sum(sizes)))]
    file = bytearray(BLOCK * 80)
    for offset, parts in scattered(buffers, numbers, most, longest):
        assert 0 < len(parts) <= most
        assert sum(map(len, parts)) <= longest
        for part in parts:
            assert len(part) > 0
            assert not any(file[offset : offset + len(part)]), "nothing is written twice"
            file[offset : offset + len(part)] = part
            offset += len(part)  # noqa: PLW2901
    assert bytes(byte for byte in file if byte) == b"".join(buffers)
    whole = b"".join(file[number * BLOCK : (number + 1) * BLOCK] for number in numbers)
    assert whole[: sum(sizes)] == b"".join(buffers)
