"""Every example runs as it stands, by the real command, on a port that is free."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.runtime.cli.command import Served, ask, run, serve

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CONFIGURATIONS = ("config.toml", "wrangler.toml")


def example(name: str) -> tuple[Path, str]:
    return EXAMPLES / name / "config.toml", "--socket-addr=http=127.0.0.1:0"


def in_good_order(served: Served) -> None:
    assert served.stop(signal.SIGTERM) == 0
    assert not any("error" in line.lower() for line in served.errors.rest())


def test_hello() -> None:
    with serve(*example("hello")) as served:
        address = served.address()
        assert ask(address).body == "Hello, world!\n"
        assert ask(address, "/?name=M%C3%BCller").body == "Hello, Müller!\n"
        in_good_order(served)


def test_the_shop_asks_the_catalogue_and_the_catalogue_asks_the_shop() -> None:
    with serve(*example("services")) as served:
        address = served.address()
        assert json.loads(ask(address).body) == {"articles": ["cup", "tea", "teapot"]}
        tea = ask(address, "/articles/tea")
        assert json.loads(tea.body) == {"name": "tea", "price": 4.5, "currency": "EUR"}
        assert tea.headers["content-type"] == "application/json"
        missing = ask(address, "/articles/coffee")
        assert (missing.status, json.loads(missing.body)) == (
            404,
            {"error": "there is no article named coffee"},
        )
        page = ask(address, "/pages/cup")  # shop -> catalogue by fetch -> shop's office over RPC
        assert (page.status, page.body) == (200, "cup: 8.5 EUR\n")
        assert ask(address, "/pages/coffee").status == 404
        assert ask(address, "/else").status == 404
        in_good_order(served)


def test_shop(tmp_path: Path) -> None:
    """Without a browser, which `tests/browser/test_shop.py` has."""
    source, socket = example("shop")
    shutil.copytree(source.parent, tmp_path / "shop", ignore=shutil.ignore_patterns(".pyworkerd"))
    config = tmp_path / "shop/config.toml"
    with serve(config, socket) as served:
        address = served.address()
        assert ask(address).headers["content-type"].startswith("text/html")
        articles = json.loads(ask(address, "/api/articles").body)["articles"]
        assert [each["name"] for each in articles] == ["cup", "tea", "teapot"]
        cookie = ask(address, "/api/cart").headers["set-cookie"].partition(";")[0]

        def said(method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
            answer = ask(address, f"/api/{path}", method=method, body=body, cookie=cookie)
            return answer.status, json.loads(answer.body)

        assert said("POST", "orders") == (409, {"error": "the cart is empty"})
        assert said("PUT", "cart/tea", '{"count": 2}') == (200, {"items": {"tea": 2}})
        assert said("PUT", "cart/coffee", '{"count": 2}')[0] == 404
        assert said("PUT", "cart/tea", '{"count": "2"}')[0] == 400
        status, placed = said("POST", "orders")
        assert status == 200
        deadline = time.monotonic() + 30
        while (order := said("GET", f"orders/{placed['order']}"))[1]["status"] != "confirmed":
            assert time.monotonic() < deadline, order
            time.sleep(0.05)
        assert order == (200, {"status": "confirmed", "cents": 900})
        assert said("GET", "cart") == (200, {"items": {}})
        in_good_order(served)
    assert run("cron", "run", config, "office").returncode == 0


def talk(ann: ClientConnection, bob: ClientConnection, room: str) -> None:
    """Two people talk; a third one with a name that is taken, and a page from elsewhere, are refused."""
    bob.send("Bob")
    assert json.loads(ann.recv()) == json.loads(bob.recv()) == {"joined": "Bob", "here": ["Ann", "Bob"]}
    bob.send("hello, Ann")
    assert json.loads(ann.recv()) == json.loads(bob.recv()) == {"name": "Bob", "text": "hello, Ann"}
    with connect(room) as twin:
        twin.send("Bob")
        with pytest.raises(ConnectionClosed):
            twin.recv()
        assert (twin.close_code, twin.close_reason) == (4000, "choose another name")
    bob.close()
    assert json.loads(ann.recv()) == {"left": "Bob"}
    with pytest.raises(InvalidStatus, match="403"), connect(room, origin="http://evil.example"):
        pass


def test_chat() -> None:
    with serve(*example("chat")) as served:
        place = served.address()
        page = ask(place)
        assert page.headers["content-type"] == "text/html;charset=utf-8"
        assert "new WebSocket" in page.body
        assert ask(place, "/chat").status == 426
        address = f"{place[0]}:{place[1]}"
        with (
            connect(f"ws://{address}/chat") as ann,
            connect(f"ws://{address}/chat", origin=f"http://{address}") as bob,
        ):
            ann.send("Ann")
            assert json.loads(ann.recv()) == {"joined": "Ann", "here": ["Ann"]}
            talk(ann, bob, f"ws://{address}/chat")
            # Whoever stops the server says so to everybody who is still there.
            served.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                ann.recv()
            assert ann.close_code == 1001
        assert served.stop() == 0
        assert not any("error" in line.lower() for line in served.errors.rest())


def test_chat_object(tmp_path: Path) -> None:
    source, socket = example("chat-object")
    shutil.copytree(source.parent, tmp_path / "chat", ignore=shutil.ignore_patterns(".pyworkerd"))
    config = tmp_path / "chat/config.toml"
    with serve(config, socket) as served:
        place = served.address()
        assert ask(place).headers["location"].endswith("/lobby")
        assert "new WebSocket" in ask(place, "/lobby").body
        address = f"{place[0]}:{place[1]}"
        with (
            connect(f"ws://{address}/lobby") as ann,
            connect(f"ws://{address}/lobby", origin=f"http://{address}") as bob,
            connect(f"ws://{address}/garden") as eve,
        ):
            ann.send("Ann")
            assert json.loads(ann.recv()) == {"joined": "Ann", "here": ["Ann"]}
            eve.send("Ann")
            assert json.loads(eve.recv()) == {"joined": "Ann", "here": ["Ann"]}
            talk(ann, bob, f"ws://{address}/lobby")
        in_good_order(served)
    with serve(config, socket) as served:
        place = served.address()
        with connect(f"ws://{place[0]}:{place[1]}/lobby") as ann:
            ann.send("Ann")
            assert json.loads(ann.recv()) == {"name": "Bob", "text": "hello, Ann"}
            assert json.loads(ann.recv()) == {"joined": "Ann", "here": ["Ann"]}
        in_good_order(served)


def test_typescript_in_front_of_python() -> None:
    with serve(*example("typescript")) as served:
        address = served.address()
        assert '<a href="/cocoa">cocoa</a></li><li><a href="/coffee">' in ask(address).body
        assert "4.50 EUR until" in ask(address, "/tea").body
        assert ask(address, "/%3Cgold%3E").status == 404
        in_good_order(served)


def test_html_proxy() -> None:
    with serve(*example("html-proxy")) as served:
        place = served.address()
        page = ask(place)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        here = f"http://{place[0]}:{place[1]}"
        assert f'<a href="{here}/cups.html?size=2">our cups</a>' in page.body
        assert '<a href="https://tea.example/" rel="noreferrer">elsewhere</a>' in page.body
        assert f'<img src="{here}/cup.svg" alt="a cup" loading="lazy">' in page.body
        assert '<main><p class="notice">This is a copy.</p>\n<h1>Tea &amp; cups</h1>' in page.body
        assert "</main><footer>copied</footer>" in page.body
        assert "tracker" not in page.body
        assert "<!--" not in page.body
        assert ask(place, "/none.html").status == 404
        in_good_order(served)


def test_a_component_that_python_was_built_into(tmp_path: Path) -> None:
    config, socket = example("component")
    shutil.copytree(config.parent, tmp_path / "component")
    shutil.copyfile(built_component(config.parent), tmp_path / "component/visits.wasm")
    with serve(tmp_path / "component/config.toml", socket) as served:
        address = served.address()
        assert ask(address, "/tea").body == "Hello, /tea was asked for 1 times\n"
        assert ask(address, "/tea?milk").body == "Hello, /tea?milk was asked for 1 times\n"
        again = ask(address, "/tea")
        assert again.body == "Hello, /tea was asked for 2 times\n"
        assert again.headers["content-type"] == "text/plain; charset=utf-8"
        in_good_order(served)


def built_component(folder: Path) -> Path:
    """What `build.py` makes, kept in the build folder: it takes ten seconds, and so does compiling it."""
    sources = [*sorted(folder.rglob("*.py")), *sorted(folder.rglob("*.wit"))]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources))
    digest.update(version("componentize-py").encode())
    built = ROOT / f"build/tests/visits-{digest.hexdigest()[:16]}.wasm"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
            fresh = Path(scratch) / "visits.wasm"
            subprocess.run([sys.executable, folder / "build.py", fresh], check=True)
            fresh.replace(built)
    return built


@pytest.mark.parametrize("folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_valid_and_has_a_test(folder: str) -> None:
    if list((EXAMPLES / folder).glob("*/package.json")):  # it has to be installed first
        assert f'examples/{folder}"' in (ROOT / "tests/runtime/test_packages.py").read_text()
        return
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f'example("{folder}")' in tests or f'examples/{folder}"' in tests
    if not (EXAMPLES / folder / "build.py").exists():  # it has to be built first
        (config,) = (
            EXAMPLES / folder / name for name in CONFIGURATIONS if (EXAMPLES / folder / name).exists()
        )
        assert run("validate", config).stdout == "ok\n"


def test_make_serves_hello() -> None:
    # These tests may themselves run below `make test`, which hands its own variables down.
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    command = subprocess.run(
        ["make", "--dry-run", "serve", "ADDRESS=127.0.0.2", "PORT=9999"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1]
    assert "pyworkerd serve examples/hello/config.toml --socket-addr http=127.0.0.2:9999" in command


def test_the_gate_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    # Where `make check` fails nothing follows (`set -e`), and what is tried once more is the last word.
    assert "set -eu" in lines
    assert lines.index("make check") < lines.index('make test 2> "$told" && exit') < len(lines) - 2
    assert lines[-2].startswith("make test ")
