"""Compilers end with whoever wants what they make."""

import sys
import threading

import pytest
from pyworkerd_isolates.component.children import Children
from pyworkerd_isolates.errors import EngineError

FOREVER = (
    sys.executable,
    "-c",
    "import sys, time; sys.stdout.write('x'); sys.stdout.flush(); time.sleep(600)",
)


def test_what_runs_is_ended_and_nothing_begins_any_more():
    children, codes, begun = Children(), [], threading.Event()

    def wait():
        with children.started(FOREVER) as child:
            assert child.stdout.read(1) == b"x"
            begun.set()
            child.communicate(b"")
        codes.append(child.returncode)

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(60)
    children.close()
    thread.join(60)
    assert codes == [-9]
    with pytest.raises(EngineError, match="closed"), children.started(FOREVER):
        pass


def test_a_process_does_not_outlast_who_waits_for_it():
    with pytest.raises(ValueError, match="enough"), Children().started(FOREVER) as child:
        raise ValueError("enough")
    assert child.returncode == -9
