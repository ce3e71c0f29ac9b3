"""How the machine is divided."""

from __future__ import annotations

import pytest
from pyworkerd import machine
from pyworkerd.dispatch.fleet import MEMORY_SHARE
from pyworkerd.supervisor.settings import MIB, REPLACE_BYTES, Settings, shares
from pyworkerd_config import Config, Processes


def divided(processes: Processes, given: int | None = None) -> tuple[int, int, int, float]:
    found = shares(Settings(load=Config, processes=given), Config(processes=processes))
    assert found.policy.wanted == found.processes
    return found.processes, found.isolates, found.policy.replace_bytes, found.policy.hang_s


def test_the_machine_by_default() -> None:
    each = int(machine.memory() * MEMORY_SHARE) // machine.cores()
    assert divided(Processes()) == (machine.cores(), each, int(each * 1.5) + REPLACE_BYTES, 10)


@pytest.mark.parametrize("count", [1, 2, 3, 64])
def test_all_threads_together_are_as_many_as_cores_if_there_are_as_many(count: int) -> None:
    each = shares(Settings(load=Config, processes=count), Config()).threads
    assert each == 1 or each * count <= machine.cores()
    assert each >= 1


@pytest.mark.parametrize(
    ("processes", "given", "found"),
    [
        (Processes(4, 1024), None, (4, 256 * MIB, 640 * MIB, 10)),
        (Processes(4, 1024), 2, (2, 512 * MIB, 1024 * MIB, 10)),
        (Processes(4, 1024, 300, 5), None, (4, 256 * MIB, 300 * MIB, 5)),
    ],
)
def test_what_was_configured(
    processes: Processes, given: int | None, found: tuple[int, int, int, int]
) -> None:
    assert divided(processes, given) == found


@pytest.mark.parametrize(("given", "found"), [(None, 256 * MIB), (0, 0), (100, 25 * MIB)])
def test_room_for_what_hibernates(given: int | None, found: int) -> None:
    processes = Processes(4, 1024, hibernate_mb=given)
    assert shares(Settings(load=Config), Config(processes=processes)).heaps == found
