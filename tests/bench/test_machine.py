from __future__ import annotations

import os
import platform

from pyworkerd_bench.machine import describe, load_cpus, usable_cpus


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
