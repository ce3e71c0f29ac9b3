from __future__ import annotations

import os
import platform
import sys

from pyworkerd_bench.machine import Neighbours, describe, load_cpus, usable_cpus
from pyworkerd_bench.processes import output_of


def test_the_machine_is_described() -> None:
    machine = describe()
    assert machine.cpu
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert platform.python_version() in machine.python
    assert platform.release() in machine.kernel
    assert machine.busy >= 0


def test_server_and_load_generator_never_share_a_processor() -> None:
    server, client = load_cpus()
    assert (server is None) == (client is None) == (len(usable_cpus()) < 2)
    assert server is None or server != client


def test_this_process_and_its_children_are_no_neighbours() -> None:
    """Counted by CPU time, so that neither a busy nor an idle machine changes the outcome."""
    neighbours = Neighbours()
    before = sum(os.times()[:4])
    output_of([sys.executable, "-c", "sum(range(10**7))"])
    own = sum(os.times()[:4]) - before
    assert own > 0.02
    everybody = neighbours._read()[1] - neighbours._busy
    assert 0 <= neighbours.share() <= 1
    assert everybody >= own - 0.1
