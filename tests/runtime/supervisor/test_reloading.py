"""SIGHUP, with the real command; and whose turn it is."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import signal
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.supervisor.messages import Leaving, Prepare, Refused, Switch
from pyworkerd.supervisor.reloading import Reloading
from pyworkerd.supervisor.serving_process import ServingProcess
from pyworkerd.versions.current import Change

from tests.runtime.cli.command import PATIENCE_S, ask
from tests.runtime.supervisor.supervised import CONFIG, SAYS, Supervised, supervised, write

if TYPE_CHECKING:
    from pathlib import Path


class Turns(Reloading):
    """Notes what has its turn, and at each change another one comes, ten in all."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(stopping=False, think=lambda: None))  # type: ignore[arg-type]
        self.had: list[str] = []

    async def _reload(self) -> None:
        self.had.append("reload")

    async def _apply(self, change: Change, done: Any) -> None:
        self.had.append(change.service)
        if len(self.had) < 10:
            self._changes.append((Change("another"), done))
        if len(self.had) in (3, 6):
            self.request()
        if not done.done():
            done.set_result(None)
        await asyncio.sleep(0)


def test_reloads_and_deploys_have_their_turns() -> None:
    async def main() -> list[str]:
        turns = Turns()
        await turns.change(Change("first"))
        await turns.aclose()
        return turns.had

    assert asyncio.run(main()) == [
        *("first", "another", "another", "reload"), *("another", "another", "reload"), *3 * ("another",)
    ]  # fmt: skip


class Falling(Reloading):
    """A reload that fails in a way that nobody has foreseen, while a change waits."""

    def __init__(self) -> None:
        self.told: list[str] = []
        stub = SimpleNamespace(
            stopping=False,
            think=lambda: None,
            not_reloaded=lambda faults: self.told.extend(fault.text for fault in faults),
        )
        super().__init__(stub)  # type: ignore[arg-type]

    async def _go_over(self, change: Change | None = None) -> None:
        if change is None:
            raise KeyError("odd")
        self.told.append(change.service)


@pytest.mark.parametrize(("answer", "lost"), [
    (b"0", None), (b"28", errno.ENOSPC), (None, errno.ENOENT), (b"", errno.ENOENT), (b"all is well", errno.ENOENT),
])  # fmt: skip
def test_a_serving_process_waits_for_the_disk_unless_none_can(
    tmp_path: Path, answer: bytes | None, lost: int | None
) -> None:
    async def let_one(task: str, argument: bytes, seconds: float) -> bytes | None:
        assert (task, argument, seconds > 0) == ("sync", os.fsencode(tmp_path / "gone"), True)
        return answer

    error = asyncio.run(Reloading(SimpleNamespace(let_one=let_one))._sync(tmp_path / "gone"))  # type: ignore[arg-type]
    assert (error and error.errno) == lost


def test_a_reload_that_fails_oddly_takes_no_deploy_along(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[str]:
        reloading = Falling()
        reloading.request()
        await reloading.change(Change("shop"))
        return reloading.told

    assert asyncio.run(main()) == [
        "it failed in a way that nobody has foreseen: the log has more",
        "shop",
    ]
    assert "KeyError: 'odd'" in caplog.text


class Stumbling(ServingProcess):
    """Its end of the control channel, and orders that fail in ways that nobody has foreseen."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self._orders = asyncio.Queue()
        self._beside = None
        self._leave = asyncio.Event()
        self._channel = SimpleNamespace(send=self.said.append)  # type: ignore[assignment]

    async def _prepare_unless(self, message: Prepare, _: Any) -> None:
        raise KeyError(message.only)


def test_what_nobody_has_foreseen_is_answered_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Or else the supervisor waits for ever, and nothing is reloaded or deployed any more."""

    async def main() -> tuple[Stumbling, bool]:
        process = Stumbling()
        obeying = asyncio.create_task(process._obey())
        process._orders.put_nowait(Prepare(7, (), "shop"))
        while not process.said:
            await asyncio.sleep(0)
        survived = not obeying.done()
        process._beside = (7, None)  # type: ignore[assignment]
        process._orders.put_nowait(Switch(7))
        await obeying
        return process, survived

    process, survived = asyncio.run(main())
    assert survived
    refused, leaving = process.said
    assert isinstance(refused, Refused)
    assert (refused.generation, refused.faults[0].text) == (
        7,
        "it failed in a way that nobody has foreseen: the log of the server has more",
    )
    assert isinstance(leaving, Leaving)
    assert "KeyError: 'shop'" in caplog.text


def reload(served: Supervised, told: str = "reloaded in") -> str:
    served.process.send_signal(signal.SIGHUP)
    return served.errors.until(told)


def test_all_processes_go_over_and_connections_stay(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=3) as served:
        address = served.complete()
        before = [child.pid for child in served.children()]
        connections = [http.client.HTTPConnection(*address, timeout=PATIENCE_S) for _ in range(12)]
        for version in ("one", "two", "three"):
            if version != "one":
                (tmp_path / "w.py").write_text(SAYS.replace("{version}", version))
                reload(served)
            for connection in connections:
                connection.request("GET", "/")
                assert connection.getresponse().read() == version.encode()
        assert [child.pid for child in served.children()] == before
        # Whoever is started later begins with what is served now.
        for child in served.children():
            child.kill()
        served.settled(3, set(before))
        assert ask(address).body == "three"
        for connection in connections:
            connection.close()
        assert served.stop(signal.SIGTERM) == 0


def test_what_cannot_work_changes_nothing_and_is_told(tmp_path: Path) -> None:
    config = write(tmp_path)
    with supervised(config) as served, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = served.complete()
        more = '[[sockets]]\nname = "more"\naddress = "{}"\nservice = "w"\n'
        for text, worker, told in (
            ("nonsense = 1\n", SAYS, "config.toml:1: unknown key"),
            (CONFIG, "1 / 0\n", "w.py:1: ZeroDivisionError"),
            (CONFIG + more.format("192.0.2.1:80"), SAYS, "cannot listen on 192.0.2.1:80"),
            (
                CONFIG + more.format(f"127.0.0.1:{taken.getsockname()[1]}"),
                SAYS,
                "cannot listen on 127.0.0.1",
            ),
        ):
            config.write_text(text)
            (tmp_path / "w.py").write_text(worker.replace("{version}", "two"))
            assert told in reload(served, "not reloaded")
            assert ask(address).body == "one"
        config.unlink()
        assert "cannot be read" in reload(served, "not reloaded")
        write(tmp_path, "three")
        reload(served)
        assert {ask(address).body for _ in range(10)} == {"three"}
        assert served.stop(signal.SIGTERM) == 0


def test_sockets_come_and_go(tmp_path: Path) -> None:
    config = write(tmp_path)
    path = tmp_path / "s"
    more = f'[[sockets]]\nname = "more"\naddress = "unix:{path}"\nservice = "w"\n'
    with supervised(config) as served:
        address = served.complete()
        for _ in range(2):
            config.write_text(CONFIG + more)
            reload(served)
            for _ in range(8):
                with closing(socket.socket(socket.AF_UNIX)) as client:
                    client.settimeout(PATIENCE_S)
                    client.connect(str(path))
                    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    with client.makefile("rb") as answer:
                        assert answer.read().endswith(b"\r\n\r\none")
            config.write_text(CONFIG)
            reload(served)
            assert not path.exists()
            assert ask(address).body == "one"
        assert served.stop(signal.SIGTERM) == 0


def test_the_number_of_processes_changes(tmp_path: Path) -> None:
    config = write(tmp_path, top="processes = { count = 1 }")
    with supervised(config, processes=None) as served:
        address = served.complete()
        for count in (3, 1):
            write(tmp_path, top=f"processes = {{ count = {count} }}")
            reload(served)
            served.settled(count, set())
            assert ask(address).body == "one"
        assert served.stop(signal.SIGTERM) == 0


def test_many_at_once_are_one_more(tmp_path: Path) -> None:
    with supervised(write(tmp_path)) as served:
        address = served.complete()
        write(tmp_path, "two")
        for _ in range(20):
            os.kill(served.process.pid, signal.SIGHUP)
        served.errors.until("reloaded in")
        assert ask(address).body == "two"
        assert served.stop(signal.SIGTERM) == 0
