"""What systemd hears."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from pyworkerd.server.notify import READY, STOPPING, notify

if TYPE_CHECKING:
    from pathlib import Path


def test_states_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [str(tmp_path / "notify")]
    if sys.platform == "linux":
        addresses.append(f"@{tmp_path.name}-notify")
    for address in addresses:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address.replace("@", "\0", 1))
            assert notify(READY, {"NOTIFY_SOCKET": address})
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            assert notify(STOPPING)
            assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_nobody_wants_to_know(environment: dict[str, str]) -> None:
    assert not notify(READY, environment)


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    for name in ("nobody", "x" * 200):
        assert not notify(READY, {"NOTIFY_SOCKET": str(tmp_path / name)})
