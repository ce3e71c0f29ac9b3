"""The store of heaps: what comes back is what went in, and nothing else; and the file has no name."""

from __future__ import annotations

import errno
import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pyworkerd_isolates import heaps as module
from pyworkerd_isolates.blocks import BLOCK, blocks_for
from pyworkerd_isolates.errors import HeapError, HeapsFull
from pyworkerd_isolates.heaps import Heap, Heaps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS = ((0, 4096), (12288, 20480))


@pytest.fixture
def heaps(tmp_path: Path) -> Iterator[Heaps]:
    """A store of eight blocks."""
    opened = Heaps(8 * BLOCK, tmp_path)
    yield opened
    opened.close()


def put(heaps: Heaps, data: bytes, *more: bytes) -> Heap:
    return heaps.put(1 << 20, ((0, len(data)),), [memoryview(each) for each in (data, *more)])


def back(heaps: Heaps, size: int, heap: Heap) -> bytes:
    buffer = bytearray(size)
    for _ in heaps.fill(heap, [memoryview(buffer)]):
        pass
    return bytes(buffer)


class HeapsMachine(RuleBasedStateMachine):
    """Whatever is put and dropped in whatever order, each heap is what was put there."""

    def __init__(self) -> None:
        super().__init__()
        self.heaps = Heaps(6 * BLOCK)
        self.held: list[tuple[Heap, bytes]] = []
        self.count = 0

    @rule(sizes=st.lists(st.integers(0, 2 * BLOCK), max_size=4))
    def put(self, sizes: list[int]) -> None:
        self.count += 1
        data = bytes([self.count % 255 + 1]) * sum(sizes)
        parts, at = [], 0
        for size in sizes:
            parts.append(memoryview(data)[at : at + size])
            at += size
        if len(self.heaps) + blocks_for(len(data)) * BLOCK > self.heaps.limit:
            with pytest.raises(HeapsFull):
                self.heaps.put(1 << 20, ((0, len(data)),), parts)
        else:
            self.held.append((self.heaps.put(1 << 20, ((0, len(data)),), parts), data))

    @rule(place=st.integers(0, 100))
    def drop(self, place: int) -> None:
        if self.held:
            heap, _ = self.held.pop(place % len(self.held))
            self.heaps.drop(heap)

    @invariant()
    def comes_back(self) -> None:
        for heap, data in self.held:
            assert back(self.heaps, len(data), heap) == data
        assert len(self.heaps) <= self.heaps.limit

    def teardown(self) -> None:
        self.heaps.close()


TestHeaps = HeapsMachine.TestCase


@given(data=st.binary(max_size=3 * BLOCK), cuts=st.lists(st.integers(0, 3 * BLOCK), max_size=6))
def test_a_heap_is_read_into_other_parts_than_it_was_written_from(data: bytes, cuts: list[int]) -> None:
    heaps = Heaps(8 * BLOCK)
    heap = put(heaps, data)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    buffer = bytearray(len(data))
    parts = [memoryview(buffer)[a:b] for a, b in pairwise(edges)]
    for _ in heaps.fill(heap, parts):
        pass
    assert buffer == data
    heaps.close()


def test_a_heap_knows_its_size() -> None:
    assert Heap(1 << 20, RUNS, (0,)).size == 4096 + 8192


def test_the_file_has_no_name_and_is_this_users_alone(heaps: Heaps, tmp_path: Path) -> None:
    secret = os.urandom(32)
    put(heaps, secret * 100)
    assert list(tmp_path.iterdir()) == []
    assert heaps._file is not None
    status = os.fstat(heaps._file.fileno())
    assert status.st_nlink == 0
    assert status.st_mode & 0o777 == 0o600
    assert not os.get_inheritable(heaps._file.fileno())


def test_without_a_heap_there_is_no_file(tmp_path: Path) -> None:
    heaps = Heaps(BLOCK, tmp_path / "absent")
    assert heaps._file is None
    heaps.close()


def test_what_does_not_fit_is_said_with_its_size(heaps: Heaps) -> None:
    first = put(heaps, b"a" * 7 * BLOCK)
    with pytest.raises(HeapsFull) as caught:
        put(heaps, b"b" * (BLOCK + 1))
    assert caught.value.size == BLOCK + 1
    heaps.drop(first)
    second = put(heaps, b"b" * (BLOCK + 1))
    assert back(heaps, BLOCK + 1, second) == b"b" * (BLOCK + 1)


def test_what_lies_behind_a_heap_is_never_read(heaps: Heaps) -> None:
    """Its last block was another tenant's, and still holds what that one wrote."""
    stranger = put(heaps, b"S" * BLOCK)
    heaps.drop(stranger)
    own = put(heaps, b"o" * 100)
    assert own.blocks == stranger.blocks
    assert back(heaps, 100, own) == b"o" * 100
    with pytest.raises(HeapError, match="another size"):
        back(heaps, 200, own)


def test_the_file_becomes_shorter_again(heaps: Heaps) -> None:
    many = [put(heaps, b"x" * BLOCK) for _ in range(8)]
    assert heaps._file is not None
    assert os.fstat(heaps._file.fileno()).st_size == 8 * BLOCK
    for each in many[1:]:
        heaps.drop(each)
    put(heaps, b"y")
    assert os.fstat(heaps._file.fileno()).st_size <= 2 * BLOCK
    assert back(heaps, BLOCK, many[0]) == b"x" * BLOCK


def test_a_full_disk_is_an_error_and_leaves_nothing(heaps: Heaps, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(HeapError, match="No space left on device"):
        put(heaps, b"x" * 100)
    assert len(heaps) == 0
    monkeypatch.undo()
    assert back(heaps, 1, put(heaps, b"y")) == b"y"


@pytest.mark.parametrize("size", [module.RESERVE, 1 << 40])
def test_an_almost_full_disk_is_left_to_others(
    heaps: Heaps, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    class Status:
        f_frsize, f_blocks = 4096, size // 4096
        f_bavail = max(module.RESERVE, size // 20) // 4096

    monkeypatch.setattr(os, "fstatvfs", lambda _: Status)
    with pytest.raises(HeapError, match="almost full"):
        put(heaps, b"x")
    assert len(heaps) == 0


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    heaps = Heaps(BLOCK, tmp_path / "absent")
    with pytest.raises(HeapError, match="No such file"):
        put(heaps, b"x")
    assert len(heaps) == 0


def test_a_file_that_was_cut_off_is_an_error(heaps: Heaps) -> None:
    heap = put(heaps, b"x" * 5000)
    assert heaps._file is not None
    os.ftruncate(heaps._file.fileno(), 4096)
    assert not heaps.fill_now(heap, [memoryview(bytearray(5000))])
    with pytest.raises(HeapError, match="cut off"):
        back(heaps, 5000, heap)


def test_a_disk_that_cannot_be_read_is_an_error(heaps: Heaps, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    heap = put(heaps, b"x" * 100)
    monkeypatch.setattr(os, "preadv", refuse)
    assert not heaps.fill_now(heap, [memoryview(bytearray(100))])
    with pytest.raises(HeapError, match="Input/output error"):
        back(heaps, 100, heap)


def test_calls_that_do_a_part_are_gone_on_with(heaps: Heaps, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(2 * BLOCK)

    def part(call: Any) -> Any:
        return lambda file, parts, offset, *flags: call(file, [parts[0][:1000]], offset, *flags)

    monkeypatch.setattr(os, "pwritev", part(os.pwritev))
    monkeypatch.setattr(os, "preadv", part(os.preadv))
    heap = put(heaps, data)
    assert back(heaps, len(data), heap) == data


@pytest.mark.skipif(not module._NOW, reason="Linux")
def test_what_is_in_memory_is_read_without_waiting(heaps: Heaps) -> None:
    heap = put(heaps, b"x" * 5000)
    buffer = bytearray(5000)
    if heaps.fill_now(heap, [memoryview(buffer)]):  # not every file system can say
        assert buffer == b"x" * 5000


def test_a_system_that_cannot_tell_always_waits(heaps: Heaps, monkeypatch: pytest.MonkeyPatch) -> None:
    heap = put(heaps, b"x" * 5000)
    monkeypatch.setattr(module, "_NOW", 0)
    assert not heaps.fill_now(heap, [memoryview(bytearray(5000))])
    assert back(heaps, 5000, heap) == b"x" * 5000


def test_a_closed_store_takes_and_gives_nothing(heaps: Heaps) -> None:
    heap = put(heaps, b"x")
    heaps.close()
    heaps.close()
    with pytest.raises(HeapError, match="closed"):
        put(heaps, b"y")
    with pytest.raises(HeapError):
        back(heaps, 1, heap)
    with pytest.raises(HeapError):
        heaps.fill_now(heap, [memoryview(bytearray(1))])


def test_a_small_heap_is_read_at_once_wherever_it_lies(heaps: Heaps) -> None:
    held = [put(heaps, b"x" * BLOCK) for _ in range(8)]
    for each in held[::2]:
        heaps.drop(each)
    heap = put(heaps, b"y" * 4 * BLOCK)
    assert heap.blocks == (0, 2, 4, 6)
    buffer = bytearray(4 * BLOCK)
    assert list(heaps.fill(heap, [memoryview(buffer)])) == []
    assert buffer == b"y" * 4 * BLOCK


def test_a_large_heap_is_read_in_pieces(tmp_path: Path) -> None:
    heaps = Heaps(4 * module.PIECE, tmp_path)
    data = os.urandom(1 << 20) * 11
    heap = put(heaps, data)
    buffer = bytearray(len(data))
    pauses = [bytes(buffer[-1:]) for _ in heaps.fill(heap, [memoryview(buffer)])]
    assert len(pauses) == 2
    assert not any(any(last) for last in pauses)
    assert buffer == data
    heaps.close()


def test_many_threads(tmp_path: Path) -> None:
    heaps = Heaps(64 * BLOCK, tmp_path)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        data = bytes([number + 1]) * (BLOCK + 1000 * number)
        try:
            for _ in range(50):
                heap = put(heaps, data)
                assert back(heaps, len(data), heap) == data
                heaps.drop(heap)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(heaps) == 0
    heaps.close()
