"""An order, at a real authority; what it must not believe."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pyworkerd.acme.files import AcmeFiles, begin
from pyworkerd.acme.order import Order, Refused, _must_be_ours
from pyworkerd_config import Certificate

from tests.runtime.acme.pebble import pebble, trust
from tests.runtime.server.pem import authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def answering(files: AcmeFiles) -> Iterator[int]:
    """The port of a server that has the answers."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = files.answer(self.path.rpartition("/")[2])
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def place(order: Order) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pyworkerd.acme.order"]
    return subprocess.run(command, input=order.dump(), capture_output=True, check=False, env=os.environ)


def test_what_goes_wrong_is_one_line_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(tmp_path, monkeypatch)
    files, pair = AcmeFiles(tmp_path / "acme"), Certificate(tmp_path / "a.pem", tmp_path / "a.key")
    begin(files, pair, ["localhost"])
    before = pair.cert.read_bytes()
    empty = AcmeFiles(tmp_path / "empty")
    with answering(empty) as port, pebble(tmp_path, port) as directory:
        folder = str(files.folder)
        order = Order(directory, None, ("localhost",), folder, str(pair.cert), str(pair.key))
        done = place(order)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"ValidationError: ")
        assert done.stderr.count(b"\n") == 1
    assert pair.cert.read_bytes() == before
    assert list(files.challenges.iterdir()) == []


def test_a_certificate_has_to_be_ours() -> None:
    ours, other = authority().issue_cert("a.example"), authority().issue_cert("a.example")
    chain = b"".join(blob.bytes() for blob in ours.cert_chain_pems)
    _must_be_ours(chain, ours.private_key_pem.bytes(), ("a.example",))
    with pytest.raises(Refused, match="for another key"):
        _must_be_ours(chain, other.private_key_pem.bytes(), ("a.example",))
    with pytest.raises(Refused, match=r"does not hold for b\.example"):
        _must_be_ours(chain, ours.private_key_pem.bytes(), ("b.example",))
