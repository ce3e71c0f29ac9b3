from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.subject.configuration import service, socket, write
from pyworkerd_bench.subject.programs import JAVASCRIPT, PYTHON
from pyworkerd_config import Worker, load

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    bindings = {"NEXT": {"service": "second"}, "GREETING": {"text": 'say "hello"'}}
    first = service(
        tmp_path,
        "first",
        PYTHON.hello,
        {"routes": ["/a", "/b/*"]},
        {"bindings": bindings, "limits": {"cpu_ms": 7}, "global_outbound": False},
    )
    second = service(tmp_path, "second", JAVASCRIPT.hello, main=JAVASCRIPT.main)
    entries = [socket("http"), socket("second", "second"), first, second]
    config = load(write(tmp_path / "config.toml", entries))
    assert [(one.name, one.service) for one in config.sockets] == [("http", None), ("second", "second")]
    workers = {one.name: one.kind for one in config.services if isinstance(one.kind, Worker)}
    assert config.services[0].routes == ("/a", "/b/*")
    assert workers["first"].limits.cpu_ms == 7
    assert workers["first"].global_outbound is None
    assert {binding.name for binding in workers["first"].bindings} == {"NEXT", "GREETING"}
    assert workers["first"].main.read_text() == PYTHON.hello
    assert workers["second"].main.name == JAVASCRIPT.main
    assert workers["second"].main.read_text() == JAVASCRIPT.hello
