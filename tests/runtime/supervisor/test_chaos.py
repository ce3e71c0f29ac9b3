"""Processes end and configurations are reloaded under load: nothing is lost but what a killed process had.

Every request is answered with 200 by a version that was loaded when it began or later, and every connection is
accepted; excused are only requests on connections that a process held at the moment it was killed.
"""

from __future__ import annotations

import json
import random
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.runtime.cli.command import PATIENCE_S, ask
from tests.runtime.supervisor.load import CLIENTS, Load
from tests.runtime.supervisor.supervised import CONFIG, Supervised, supervised

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """\
import asyncio
from workers import Response, WorkerEntrypoint

VERSION = "{version}"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/slow"):
            await asyncio.sleep(0.02)
        if request.url.endswith("/stream"):
            return Response(self.pieces())
        return Response(VERSION)

    async def pieces(self):
        for _ in range(3):
            yield VERSION.encode() + b" "
            await asyncio.sleep(0.01)
"""


def project(folder: Path) -> Path:
    (folder / "config.toml").write_text(CONFIG)
    save(folder, 0)
    return folder / "config.toml"


def save(folder: Path, version: int) -> None:
    (folder / "w.py").write_text(WORKER.replace("{version}", f"{version:04}"))


def reload(served: Supervised, site: tuple[str, int], folder: Path, version: int) -> None:
    before = told(site)["configuration"]
    save(folder, version)
    served.process.send_signal(signal.SIGHUP)
    # Not until a line says so: a process that was just started may have found the new files and caused it already.
    while (now := told(site))["configuration"] == before or now["reloading"]:
        pass


def told(site: tuple[str, int]) -> Any:
    return json.loads(ask(site, "/processes").body)


def serving(site: tuple[str, int]) -> list[psutil.Process]:
    """Processes that serve; as long as there is none, ask again."""
    while True:
        found = [each for each in told(site)["processes"] if each["state"] == "serving"]
        if found:
            return [psutil.Process(each["pid"]) for each in found]


def kill_one(served: Supervised, load: Load, victim: psutil.Process) -> None:
    load.kill(victim)
    served.errors.until(f"(pid {victim.pid}) was ended by SIGKILL")


def drain_one(served: Supervised, victim: psutil.Process) -> None:
    victim.terminate()
    served.errors.until(f"(pid {victim.pid}) was told to end")
    victim.wait(PATIENCE_S)


def run(folder: Path, happenings: list[str], requests: int, processes: int) -> None:
    """Do all this, one after the other, each after so many more requests."""
    chance = random.Random(7)
    with supervised(project(folder), "--admin=127.0.0.1:0", processes=processes) as served:
        address, site = served.address(), served.site()
        served.errors.until("serving with")
        with Load(address) as load:
            for version, happening in enumerate(happenings, 1):
                load.wait_for(chance.randrange(requests))
                if happening == "reload":
                    reload(served, site, folder, version)
                    load.at_least = f"{version:04}"
                elif happening == "drain":
                    drain_one(served, chance.choice(serving(site)))
                else:
                    kill_one(served, load, chance.choice(serving(site)))
            load.wait_for(requests)
        assert load.lost == []
        assert load.excused <= happenings.count("kill") * CLIENTS
        assert (load.at_least or "0000") in load.versions
        assert served.stop(signal.SIGTERM) == 0


def test_reloads_and_kills_under_load(tmp_path: Path) -> None:
    run(tmp_path, ["reload", "kill", "drain", "reload", "kill", "drain", "reload"], 100, 2)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_twenty_reloads_and_five_kills_under_load(tmp_path: Path, processes: int) -> None:
    happenings = ["reload"] * 20 + ["kill"] * 5 + ["drain"] * 5
    random.Random(processes).shuffle(happenings)
    run(tmp_path, happenings, 2000, processes)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_kills_at_any_moment(tmp_path: Path) -> None:
    run(tmp_path, ["kill"] * 100, 500, 3)
