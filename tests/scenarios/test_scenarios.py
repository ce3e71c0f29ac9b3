"""Every folder here is a test: a configuration, its workers, and what clients see of them over HTTP.

`expect.toml` holds, in this order:

    [environment]            # variables of the process, for `environment` and `secret` bindings
    [files]                  # text files that the folder cannot hold as they are
    error = "..."            # the configuration is refused, with a sentence that contains this

    [[requests]]             # sent one after the other; `times = 10` sends ten of them at once
    path = "/x"              # also: method, host, headers, body, body_mb, socket
    status = 200             # also: headers, body, contains, json, size_mb
    logs = ["..."]           # each is contained in a log message, once the answer has come

    [[requests]]             # or a WebSocket, with `protocols` to offer and the `protocol` to be chosen
    talk = [{ say = "x" }, { hear = "x" }, { say_mb = 1 }, { hear_mb = 1 }, { close = 1000 }]   # or { closed = 4000 }

    tests/scenarios/hello/{config.toml,hello.py,expect.toml} is the smallest one.
"""

from __future__ import annotations

import asyncio
import shutil
import tomllib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.serving import Serving
from pyworkerd_config import ConfigError, load

NAMES = ("config.toml", "config.capnp")
FOLDERS = sorted(path.parent for name in NAMES for path in Path(__file__).parent.glob(f"*/{name}"))
REQUEST = frozenset(("path", "method", "host", "headers", "body", "body_mb", "socket", "times"))
TALK = frozenset(("path", "talk", "protocols", "protocol", "times", "socket", "logs"))
ANSWER = frozenset(("status", "answer_headers", "answer", "contains", "json", "size_mb", "logs"))
MIB = 1024 * 1024


async def chunks(size: int) -> Any:
    for _ in range(size // 65_536):
        yield b"x" * 65_536


async def talk(client: aiohttp.ClientSession, base: str, expected: dict[str, Any]) -> None:
    unknown = expected.keys() - TALK
    assert not unknown, f"expect.toml: unknown keys {sorted(unknown)}"
    protocols = expected.get("protocols", ())
    async with client.ws_connect(f"{base}{expected['path']}", protocols=protocols, max_msg_size=0) as socket:
        assert socket.protocol == expected.get("protocol")
        for step in expected["talk"]:
            match next(iter(step.items())):
                case "say", text:
                    await socket.send_str(text)
                case "say_mb", size:
                    await socket.send_bytes(b"x" * size * MIB)
                case "hear", text:
                    assert await socket.receive_str() == text
                case "hear_mb", size:
                    assert len(await socket.receive_bytes()) == size * MIB
                case "close", code:
                    await socket.close(code=code)
                case "closed", code:
                    await socket.receive()
                    assert socket.close_code == code
                case other:
                    raise AssertionError(other)


async def ask(client: aiohttp.ClientSession, base: str, expected: dict[str, Any]) -> None:
    unknown = expected.keys() - REQUEST - ANSWER
    assert not unknown, f"expect.toml: unknown keys {sorted(unknown)}"
    headers = dict(expected.get("headers", {}))
    if "host" in expected:
        headers["Host"] = expected["host"]
    body = chunks(expected["body_mb"] * MIB) if "body_mb" in expected else expected.get("body")
    url = f"{base}{expected['path']}"
    async with client.request(
        expected.get("method", "GET"), url, headers=headers, data=body, allow_redirects=False
    ) as response:
        data = await response.read()
        assert response.status == expected["status"], data
        for name, value in expected.get("answer_headers", {}).items():
            assert response.headers.get(name) == value
        if "answer" in expected:
            assert data.decode() == expected["answer"]
        if "contains" in expected:
            assert expected["contains"] in data.decode()
        if "json" in expected:
            assert await response.json(content_type=None) == expected["json"]
        if "size_mb" in expected:
            assert len(data) == expected["size_mb"] * MIB


async def serve(folder: Path, expect: dict[str, Any]) -> None:
    logs: list[str] = []
    options = RuntimeOptions(
        sinks=(lambda entry: logs.append(entry.message),), environment=expect.get("environment", {})
    )
    config = next(path for name in NAMES if (path := folder / name).is_file())
    async with Runtime(load(config), options) as runtime:
        serving = Serving(runtime)
        bases = {socket.name: f"http://{socket.address}" for socket in await serving.start()}
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
                for expected in expect["requests"]:
                    base = bases[expected.get("socket", next(iter(bases)))]
                    times, do = expected.get("times", 1), talk if "talk" in expected else ask
                    await asyncio.gather(*(do(client, base, expected) for _ in range(times)))
                    while "talk" in expected and runtime.worker("room").service.busy:
                        await asyncio.sleep(0)
                    if "logs" in expected:
                        await runtime.quiet()  # tail workers are told when an invocation has ended
                    for text in expected.get("logs", ()):
                        assert any(text in message for message in logs), logs
        finally:
            await serving.aclose()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_scenario(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    assert expect.keys() <= {"environment", "error", "files", "requests"}
    folder = shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.chdir(folder)  # in workerd's dialect the paths of disks start from there
    for name, text in expect.get("files", {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    if "error" not in expect:
        asyncio.run(serve(folder, expect))
        return
    with pytest.raises((ConfigurationError, ConfigError)) as caught:
        asyncio.run(serve(folder, {**expect, "requests": []}))
    assert expect["error"] in str(caught.value)


def test_there_are_scenarios() -> None:
    assert len(FOLDERS) > 10
