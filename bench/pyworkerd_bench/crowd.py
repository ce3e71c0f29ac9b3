"""What contestants with many registered tenants share: rounds of a start, a weighing and requests to random tenants."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from .contestant import Probe
from .http_client import Connection, get_request, wait_for_200
from .machine import load_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .processes import Server

ROUNDS = 3
ASKED = 100
"""Tenants that are asked twice in each round, drawn without repetition."""
SEED = 20_261_125

Round = dict[str, tuple[float, ...]]


class CrowdContestant(ABC):
    """A server with so many tenants, tenant n behind `/tn`. All figures of a size are read from the same rounds."""

    sizes: Sequence[int] = ()

    def __init__(self, asked: int = ASKED) -> None:
        self._asked = asked
        self._rounds: dict[int, list[Round]] = {size: [] for size in self.sizes}

    @abstractmethod
    def spawn(self, size: int, cpu: int | None) -> Server:
        """A new server with so many tenants, on `cpu` alone if given. Raises BenchError."""

    def probes(self) -> Sequence[Probe]:
        """Start, memory, first and second requests, for each size."""
        return [
            Probe(f"{key}_{size}", partial(self._next, size, key, {"read": 0}), ROUNDS)
            for size in self.sizes
            for key in ("start", "memory", "first", "second")
        ]

    def _next(self, size: int, key: str, place: dict[str, int]) -> tuple[float, ...]:
        """A figure's values of the next round that it has not read yet."""
        rounds = self._rounds[size]
        while len(rounds) <= place["read"]:
            rounds.append(self.round(size, len(rounds)))
        place["read"] += 1
        return rounds[place["read"] - 1][key]

    def round(self, size: int, number: int) -> Round:
        """One start and what follows it. Raises BenchError."""
        tenants = random.Random(SEED + number).sample(range(1, size), min(self._asked, size - 1))
        began = perf_counter()
        with self.spawn(size, load_cpus()[0]) as server:
            wait_for_200(server.port, "/t0")
            found: Round = {"start": (perf_counter() - began,), "memory": (float(server.pss()),)}
            with Connection(server.port) as connection:
                pairs = [
                    (connection.timed(request), connection.timed(request))
                    for request in (get_request(f"/t{tenant}") for tenant in tenants)
                ]
        found["first"] = tuple(first for first, _ in pairs)
        found["second"] = tuple(second for _, second in pairs)
        return found


def ask_each(server: Server, paths: Sequence[str]) -> Mapping[str, float]:
    """One request to each path, in seconds. Raises BenchError."""
    with Connection(server.port) as connection:
        return {path: connection.timed(get_request(path)) for path in paths}
