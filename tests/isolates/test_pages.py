"""What of a mapping is the process's own: against mappings of a real file."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates import pages
from pyworkerd_isolates.pages import MAX_HOT, MAX_RUNS, PAGES, Hot, equal

SIZE = 4 * MAX_RUNS * mmap.PAGESIZE

needs_pages = pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")


@pytest.fixture
def mapped(tmp_path):
    """A private mapping of a file, and its address."""
    path = tmp_path / "image"
    path.write_bytes(b"x" * SIZE)
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_PRIVATE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        yield memory, address


def runs_of(numbers):
    """Runs of bytes for page numbers."""
    runs = []
    for number in sorted(numbers):
        start = number * mmap.PAGESIZE
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + mmap.PAGESIZE)
        else:
            runs.append((start, start + mmap.PAGESIZE))
    return runs


@needs_pages
def test_what_was_only_read_is_the_files(mapped):
    memory, address = mapped
    assert memory[:].count(b"x") == SIZE
    assert PAGES.written(address, SIZE) == []


@needs_pages
@given(numbers=st.sets(st.integers(0, SIZE // mmap.PAGESIZE - 1), max_size=40))
def test_exactly_what_was_written_to_is_told(numbers):
    with memoryview(b"x") as one, os.fdopen(os.memfd_create("image"), "r+b") as file:
        file.truncate(SIZE)
        memory = mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_PRIVATE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for number in numbers:
            memory[number * mmap.PAGESIZE + 7] = one[0]
        assert PAGES.written(address, SIZE) == runs_of(numbers)


@needs_pages
def test_zeros_that_were_only_read_are_nobodys():
    memory = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert memory[5 * mmap.PAGESIZE] == 0
    memory[9 * mmap.PAGESIZE] = 0
    assert PAGES.written(address, SIZE) == runs_of({9})


@needs_pages
def test_more_runs_than_fit_are_not_told_in_part(mapped):
    memory, address = mapped
    for number in range(MAX_RUNS + 1):
        memory[number * 2 * mmap.PAGESIZE] = 1
    assert PAGES.written(address, SIZE) is None


@needs_pages
@pytest.mark.parametrize("count", [0, 1, MAX_RUNS - 1, MAX_RUNS, MAX_RUNS + 1, 2 * MAX_RUNS])
def test_all_of_them_are_told_where_that_is_wanted(mapped, count):
    memory, address = mapped
    numbers = [number * 2 for number in range(count)]
    for number in numbers:
        memory[number * mmap.PAGESIZE] = 1
    assert PAGES.all_written(address, SIZE) == runs_of(numbers)


@needs_pages
def test_populated_pages_are_the_processs_own_and_unchanged(mapped):
    memory, address = mapped
    wanted = runs_of({1, 2, 3, 70})
    PAGES.populate(address, tuple(wanted))
    found = PAGES.written(address, SIZE)
    assert found in (wanted, []), "a kernel before 6.14 refuses the advice, and nothing happens"
    assert memory[:].count(b"x") == SIZE


@needs_pages
@given(
    changed=st.dictionaries(st.integers(0, 63), st.integers(0, mmap.PAGESIZE - 1), max_size=20),
    looked_at=st.sets(st.integers(0, 63)),
)
def test_equal_pages_are_those_of_which_no_byte_differs(changed, looked_at):
    one, other = (mmap.mmap(-1, 64 * mmap.PAGESIZE) for _ in range(2))
    for number, place in changed.items():
        one[number * mmap.PAGESIZE + place] = 1
    addresses = [ctypes.addressof(ctypes.c_char.from_buffer(memory)) for memory in (one, other)]
    assert list(equal(*addresses, runs_of(looked_at))) == runs_of(looked_at - changed.keys())


@needs_pages
def test_what_is_given_back_is_the_files_again(mapped):
    memory, address = mapped
    for number in range(6):
        memory[number * mmap.PAGESIZE] = 0
    PAGES.give_back(address, runs_of({1, 2, 4}))
    assert PAGES.written(address, SIZE) == runs_of({0, 3, 5})
    assert [memory[number * mmap.PAGESIZE] for number in range(6)] == [0, 120, 120, 0, 120, 0]


@needs_pages
def test_a_forked_child_looks_at_its_own_memory(mapped):
    mapped[0][0] = 1
    script = """
import mmap, ctypes, os
from pyworkerd_isolates.pages import PAGES
memory = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if (child := os.fork()) == 0:
    memory[0] = 1
    os._exit(len(PAGES.written(address, 1 << 20)))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
assert PAGES.written(address, 1 << 20) == []
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_system_without_it_has_none(monkeypatch):
    def refuse(self, base, size):
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(pages.Pages, "written", refuse)
    assert pages._open() is None
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert pages._open() is None


def test_only_the_first_step_that_was_watched_counts():
    hot = Hot()
    hot.learn([(0, 4096), (12288, 16384), (40960, 45056)])
    assert hot.runs == ((0, 4096), (12288, 16384), (40960, 45056))
    hot.learn([(0, 4096)])
    assert hot.runs == ((0, 4096), (12288, 16384), (40960, 45056))


def test_a_first_step_that_wrote_much_teaches_nothing():
    hot = Hot()
    hot.learn([(0, MAX_HOT + 4096)])
    assert hot.runs == ()
