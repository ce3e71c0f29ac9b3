"""Ids are random, each is given once, and no two processes share any."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyworkerd.observe.ids import SPAN_DIGITS, TRACE_DIGITS, new_ids, new_span_id

MANY = 1000


def test_ids_are_hexadecimal_digits_and_all_different() -> None:
    found = [new_ids() for _ in range(MANY)]
    assert {(len(trace), len(span)) for trace, span in found} == {(TRACE_DIGITS, SPAN_DIGITS)}
    assert set("".join(trace + span for trace, span in found)) == set("0123456789abcdef")
    assert len({trace for trace, _ in found} | {span for _, span in found}) == 2 * MANY


def test_threads_never_get_the_same() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [new_span_id() for _ in range(MANY)], range(8)))
    assert len({each for batch in batches for each in batch}) == 8 * MANY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_has_ids_of_its_own() -> None:
    new_ids()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, "".join(new_ids()).encode())
        os._exit(0)
    os.close(writing)
    told = os.read(reading, 1000).decode()
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0
    assert len(told) == TRACE_DIGITS + SPAN_DIGITS
    assert told != "".join(new_ids())
