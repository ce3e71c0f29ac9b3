"""`pyworkerd test`, the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyworkerd.acme.keeper import Keeper
from pyworkerd.cli.main import main
from pyworkerd.cli.test import OWN_NAMES, constant_of, told_apart

from tests.runtime.cli.command import run

CONFIG = """\
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
crons = ["* * * * *"]
bindings = { STORE = { kv = "store" } }
[[services]]
name = "python"
[services.worker]
main = "python/main.py"
bindings = { SHOP = { service = "shop" } }
[[services]]
name = "typed"
[services.worker]
main = "typed.ts"
bindings = { SHOP = { service = "shop" } }
"""
MANAGED = """
[[sockets]]
name = "http"
address = "*:80"
service = "shop"
[[sockets]]
name = "https"
address = "*:443"
service = "shop"
[sockets.https]
cert = "a.pem"
key = "a.key"
acme = { hosts = ["a.example"], agree_to_terms = true }
"""
FILES = {
    "shop.py": """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        before = await self.env.STORE.get("visits")
        await self.env.STORE.put("visits", "1")
        return Response(f"visited {before}")

    def add(self, a, b):
        return a + b
""",
    "python/main.py": """\
from workers import WorkerEntrypoint

async def test(controller, env, ctx):
    assert await env.SHOP.add(1, 2) == 3

class Visits(WorkerEntrypoint):
    async def test(self):
        print("visiting")
        assert await (await self.env.SHOP.fetch("http://shop/")).text() == "visited None"

class Fails(WorkerEntrypoint):
    async def test(self, controller):
        self.deeper()

    def deeper(self):
        raise ValueError("no \\x1b[31mluck")

class Waits(WorkerEntrypoint):
    async def test(self):
        from asyncio import Event
        await Event().wait()
""",
    "typed.ts": """\
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

export default {
  async test(controller: object, env: { SHOP: any }): Promise<void> {
    assert.strictEqual(await env.SHOP.add(1, 2), 3);
  },
};
export const wrong = {
  test() {
    assert.strictEqual(1, 2);
  },
};
export class Classy extends WorkerEntrypoint {
  async test(controller: object): Promise<void> {
    assert.deepStrictEqual(Object.keys(controller), []);
  }
}
export const noTest = { fetch() {} };
""",
}
ALL = "python python:Fails python:Visits python:Waits typed typed:Classy typed:wrong"


def project(folder: Path) -> Path:
    (folder / "python").mkdir()
    (folder / "config.toml").write_text(CONFIG)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder / "config.toml"


def test_what_passes_what_fails_and_where(tmp_path: Path) -> None:
    config = project(tmp_path)
    done = run("test", config, "--json", "--timeout=1")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["ok"], told["failed"]) == (False, 3)
    found = {f"{t['service']}:{t['entrypoint']}": t["failure"] for t in told["tests"]}
    passed = {name for name, failure in found.items() if failure is None}
    assert passed == {"python:None", "python:Visits", "typed:None", "typed:Classy"}
    failure = found["python:Fails"]
    assert (failure["file"], failure["line"]) == (str(tmp_path / "python/main.py"), 16)
    assert failure["message"] == "ValueError: no \x1b[31mluck"
    assert "in test\n    self.deeper()" in failure["traceback"]
    assert found["python:Waits"]["message"] == "it has not ended within 1 s"
    assert (found["typed:wrong"]["file"], found["typed:wrong"]["line"]) == (str(tmp_path / "typed.ts"), 11)
    assert all(test["milliseconds"] >= 0 for test in told["tests"])
    assert "stdout: visiting" in done.stderr
    assert not (tmp_path / ".pyworkerd").exists(), "tests leave the stores alone"


def test_filters_and_what_people_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(project(tmp_path))
    assert main(["test", config, "python:F*", "typed:default"]) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "[ TEST ] python:Fails"
    assert lines[1].startswith("[ FAIL ] python:Fails (")
    assert lines[2] == rf"    {tmp_path}/python/main.py:16: ValueError: no \x1b[31mluck"
    assert "\x1b" not in out
    assert [line.split(" (")[0] for line in lines[-3:-1]] == ["[ TEST ] typed", "[ PASS ] typed"]
    assert lines[-1] == "1 passed, 1 failed"
    assert main(["test", config, "typed:C*", "python:default"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


def test_the_list_and_no_tests_which_are_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(project(tmp_path))
    assert main(["test", "--list", "-c", config]) == 0
    assert sorted(capsys.readouterr().out.split()) == sorted(ALL.split())
    assert main(["test", config, "nobody:*"]) == 1
    assert "error: no test is meant by that: there are python:Visits, " in capsys.readouterr().err
    (tmp_path / "shop.toml").write_text(CONFIG.partition('[[services]]\nname = "python"')[0])
    config = str(tmp_path / "shop.toml")
    assert main(["test", config, "shop"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: no tests found: export an entrypoint with a `test` handler" in told.err
    assert main(["test", config, "shop", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"ok": False, "failed": 0, "tests": []}


def test_no_authority_is_asked_for_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(_: Keeper) -> None:
        raise AssertionError("certificates are looked at")

    monkeypatch.setattr(Keeper, "start", start)
    config = project(tmp_path)
    config.write_text(f"{config.read_text()}{MANAGED}")
    assert main(["test", str(config), "typed:Classy"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan", "soon"])
def test_a_time_out_that_is_none(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["test", f"--timeout={seconds}"])
    assert ended.value.code == 2
    assert "a number of seconds, more than 0" in capsys.readouterr().err


def test_names_and_filters_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("")
    odd = str(tmp_path / "odd")
    assert told_apart(["config.toml", "a"], named=False) == (Path("config.toml"), ["a"])
    assert told_apart([odd, "a:*"], named=False) == (Path(odd), ["a:*"])
    assert told_apart(["shop:*", "config.toml"], named=False) == (None, ["shop:*", "config.toml"])
    assert told_apart(["config.toml"], named=True) == (None, ["config.toml"])
    assert told_apart([], named=False) == (None, [])
    assert OWN_NAMES[0] == "test.toml", "a configuration for tests goes first"


QUEUE = """\
queues = [{ name = "jobs", producers = ["tests"], consumer = "office", max_batch_timeout = 0 }]
[[stores]]
kv = "done"
workers = ["tests", "office"]
[[services]]
name = "office"
worker = { main = "office.py", bindings = { DONE = { kv = "done" } } }
[[services]]
name = "tests"
worker = { main = "tests.py", bindings = { DONE = { kv = "done" }, JOBS = { queue = "jobs" } } }
"""
OFFICE = """\
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def queue(self, batch):
        for message in batch.messages:
            await self.env.DONE.put("done", message.body)
"""
SENDS = """\
import asyncio
from workers import WorkerEntrypoint

class Sends(WorkerEntrypoint):
    async def test(self):
        await self.env.JOBS.send("sweep")
        while await self.env.DONE.get("done") != "sweep":
            await asyncio.sleep(0.01)
"""


def test_consumers_get_what_tests_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"test.toml": QUEUE, "office.py": OFFICE, "tests.py": SENDS}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["test"]) == 0
    assert "[ PASS ] tests:Sends (" in capsys.readouterr().out


def test_no_name_of_a_test_reaches_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.toml").write_text('[[services]]\nname = "w"\nworker = { main = "w.js" }\n')
    (tmp_path / "w.js").write_text(
        'const t = { test() {} };\nexport { t as "\\u001b[31m\\n[ PASS ] forged" };\n'
    )
    monkeypatch.chdir(tmp_path)
    for arguments in (["test"], ["test", "--list"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "w:\\x1b[31m\\n[ PASS ] forged" in out
        assert not out.startswith("[ PASS ]")


WORKERD = """\
using Workerd = import "/workerd/workerd.capnp";
const one :Workerd.Config = (services = [(name = "main", worker = .tested)]);
const two :Workerd.Config = (services = [(name = "other", worker = .tested)]);
const tested :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
);
"""


def test_a_file_of_workerd_with_several_configurations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests.capnp").write_text(WORKERD)
    (tmp_path / "worker.js").write_text("export const adds = { test() {} };\nexport default { test() {} };\n")
    assert main(["test", str(tmp_path / "tests.capnp"), "two:o*:adds"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"
    assert main(["test", str(tmp_path / "tests.capnp"), "one:*:*", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["main:adds", "main"]
    assert main(["test", str(tmp_path / "tests.capnp"), "main"]) == 2


def test_constants_in_filters() -> None:
    assert constant_of(["a:b:c", "a:d:*"]) == ("a", ["b:c", "d:*"])
    assert constant_of(["a:b:c", "b"]) == ("a", ["b:c", "b"])
    assert constant_of(["a:b:c", "x:b:c"]) == ("", ["a:b:c", "x:b:c"])
    assert constant_of(["b:c"]) == ("", ["b:c"])
