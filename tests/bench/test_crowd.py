from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.crowd import ROUNDS, CrowdContestant, ask_each

from tests.bench.servers import SHAPED, server

if TYPE_CHECKING:
    from pyworkerd_bench.processes import Server

EVERYBODY = SHAPED.replace('path == b"/a"', 'path.startswith(b"/t")')


class Little(CrowdContestant):
    """A server for which every tenant is the same."""

    sizes = (5,)
    spawned = 0

    def spawn(self, size: int, cpu: int | None) -> Server:
        self.spawned += 1
        return server(EVERYBODY, cpu)


def test_all_figures_of_a_round_come_from_one_start() -> None:
    little = Little(asked=3)
    probes = {probe.figure: probe for probe in little.probes()}
    assert set(probes) == {"start_5", "memory_5", "first_5", "second_5"}
    assert {probe.samples for probe in probes.values()} == {ROUNDS}
    for number in (1, 2):
        values = {key: probe.sample() for key, probe in probes.items()}
        assert little.spawned == number
        assert [len(values[key]) for key in probes] == [1, 1, 3, 3]  # type: ignore[arg-type]
        assert all(value > 0 for series in values.values() for value in series)  # type: ignore[union-attr]


def test_each_is_asked_once() -> None:
    with server(EVERYBODY) as crowd:
        assert list(ask_each(crowd, ["/t1", "/t2"])) == ["/t1", "/t2"]
        assert crowd.pss() > 0
