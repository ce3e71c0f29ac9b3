"""Pebble, an ACME authority for tests (Debian: apt-get install pebble): a real one, but for what it is trusted with."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.runtime.server.pem import authority, pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def pebble(folder: Path, http_port: int, **environment: str) -> Iterator[str]:
    """The URL of a directory. It asks for answers to challenges at this port of localhost."""
    program = shutil.which("pebble")
    if program is None:
        pytest.skip("Pebble is not installed (Debian: apt-get install pebble)")
    own = pair(folder, "localhost", "127.0.0.1", stem="pebble")
    ports = [free_port() for _ in range(2)]
    settings = {
        "listenAddress": f"127.0.0.1:{ports[0]}",
        "managementListenAddress": f"127.0.0.1:{ports[1]}",
        "certificate": str(own.cert),
        "privateKey": str(own.key),
        "httpPort": http_port,
        "tlsPort": free_port(),
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", **environment}
    with subprocess.Popen(
        [program, "-config", folder / "pebble.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | quick,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "ACME directory available" in line or "Listening on" in line:
                    break
            yield f"https://localhost:{ports[0]}/dir"
        finally:
            process.kill()


def trust(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client know who signed Pebble's own certificate."""
    authority().cert_pem.write_to_path(str(folder / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "authority.pem"))
