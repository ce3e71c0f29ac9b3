"""Which configuration a command is about; Wrangler's files, served by the real command."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.configuration import NAMES, add_configuration, read_configuration
from pyworkerd_config import ConfigError

from tests.runtime.cli.command import ask, run, serve

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
export default {
  async fetch(request: Request, env: { NAME?: string; TOKEN?: string; CACHE: any }): Promise<Response> {
    await env.CACHE.put("seen", String(Number((await env.CACHE.get("seen")) ?? 0) + 1));
    return new Response(`SERVICE ${env.NAME} ${env.TOKEN} ${await env.CACHE.get("seen")}`);
  },
};
"""
WRANGLER = """
account_id = "0123"
[[services]]
name = "auth"
route = "/auth/*"
[[services]]
name = "catalog"
route = "/catalog/*"
[[kv_namespaces]]
binding = "CACHE"
id = "0123abc"
[env.production]
name = "whole"
main = "src/auth.ts"
vars = { NAME = "production" }
kv_namespaces = [{ binding = "CACHE" }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    for name in ("auth", "catalog"):
        (tmp_path / "src" / f"{name}.ts").write_text(PROGRAM.replace("SERVICE", name))
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    (tmp_path / ".dev.vars").write_text("TOKEN=swordfish\n")
    return tmp_path


def test_a_wrangler_file_with_several_services_is_served(folder: Path) -> None:
    with serve("--config", folder / "wrangler.toml", "--socket-addr", "http=127.0.0.1:0") as served:
        address = served.address()
        assert ask(address, "/auth/login").body == "auth undefined swordfish 1"
        assert ask(address, "/catalog/items").body == "catalog undefined swordfish 2", (
            "they share the namespace"
        )
        assert ask(address, "/").status == 404
        served.stop(15)
    assert any("account_id" in line and "means nothing here" in line for line in served.errors.seen)


def test_an_environment_of_it_is_served(folder: Path) -> None:
    (folder / ".dev.vars.production").write_text("TOKEN=other\n")
    with serve("-e", "production", folder / "wrangler.toml", "--socket-addr=http=127.0.0.1:0") as served:
        assert ask(served.address(), "/anything").body == "auth production other 1"


WORKERD = """using W = import "/workerd/workerd.capnp";
const one :W.Config = (services = [(name = "files", disk = ()), (name = "main", worker = .main)],
  sockets = [(name = "http", service = "main"), (name = "files", address = "127.0.0.1:0", service = "files")]);
const two :W.Config = (v8Flags = ["--expose-gc"]);
const main :W.Worker = (serviceWorkerScript = embed "main.js", compatibilityDate = "2025-01-01");
"""


def test_a_file_of_workerds_is_served_and_its_constants_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.capnp").write_text(WORKERD)
    (tmp_path / "main.js").write_text(
        'addEventListener("fetch", (event) => event.respondWith(new Response("script")))'
    )
    said = ("--directory-path", f"files={tmp_path}", "--socket-addr", "http=127.0.0.1:0")
    with serve("-c", tmp_path / "config.capnp", "one", *said) as served:
        assert ask(served.address(), "/").body == "script"
    (tmp_path / "test.capnp").write_text(
        'using W = import "/workerd/workerd.capnp";\nconst unitTests :W.Config = (services = [(name = "main", worker = '
        '(modules = [(name = "worker", esModule = "export default { async test() {} };")]))]);\n'
    )
    done = run("test", tmp_path / "test.capnp")
    assert (done.returncode, "[ PASS ] main" in done.stdout) == (0, True)
    done = run("validate", tmp_path / "config.capnp", "two", "--no-deploy")
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert '"Config.v8Flags" means nothing here' in done.stderr
    done = run("validate", tmp_path / "config.capnp", "--no-deploy")
    assert "the file has several configurations: name one of them after the file: one, two" in done.stderr
    done = run("validate", tmp_path / "config.capnp", "one", "--no-deploy", "--directory-path", "files")
    assert '--directory-path: "files" has no name or no value' in done.stderr


def test_validate_tells_what_means_nothing_here(folder: Path) -> None:
    done = run("validate", "-c", folder / "wrangler.toml", "--no-deploy")
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert done.stderr == (
        f'warning: {folder}/wrangler.toml:2: "account_id" means nothing here: it is about Cloudflare\'s own network\n'
    )
    done = run("validate", folder / "wrangler.toml", "--no-deploy", "--json")
    assert len(json.loads(done.stdout)["warnings"]) == 1
    assert done.stderr == ""


def test_workers_of_several_files_are_one_server(tmp_path: Path) -> None:
    for name, other in (("front", "back"), ("back", "front")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.js").write_text(
            "export default { async fetch(request, env) {\n"
            f"  const seen = Number((await env.CACHE.get('n')) ?? 0) + 1; await env.CACHE.put('n', String(seen));\n"
            f"  const rest = request.url.endsWith('/end') ? '' : await (await env.OTHER.fetch('http://x/end')).text();\n"
            f"  return new Response(`{name} ${{env.TOKEN}} ${{seen}} ${{rest}}`);\n}} }};\n"
        )
        (tmp_path / name / ".dev.vars").write_text(f"TOKEN=of-{name}\n")
        (tmp_path / name / "wrangler.json").write_text(
            json.dumps(
                {
                    "name": name,
                    "main": "index.js",
                    "services": [{"binding": "OTHER", "service": other}],
                    "kv_namespaces": [{"binding": "CACHE", "id": "shared"}],
                }
            )
        )
    files = [f"--config={tmp_path / name / 'wrangler.json'}" for name in ("front", "back")]
    with serve(*files, "--socket-addr=http=127.0.0.1:0") as served:
        assert ask(served.address(), "/anything").body == "front of-front 1 back of-back 2 "


def read(*arguments: str) -> str:
    parser = argparse.ArgumentParser()
    parser.set_defaults(command="serve")
    add_configuration(parser)
    try:
        config = read_configuration(parser.parse_args(arguments))
    except ConfigError as error:
        return str(error)
    return config.services[0].name


def test_the_file_is_found_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read() == (
        ".: no configuration is named, and there is none of config.toml, wrangler.json, wrangler.jsonc, wrangler.toml "
        "here: write for example pyworkerd serve config.toml"
    )
    (tmp_path / "a.js").write_text("")
    for name in reversed(NAMES[1:]):
        stem = name.replace(".", "-")
        toml = f'name = "{stem}"\nmain = "a.js"'
        (tmp_path / name).write_text(
            toml if name.endswith("toml") else f'{{"name": "{stem}", "main": "a.js"}}'
        )
        assert read() == stem
    assert read("wrangler.jsonc") == read("-c", "wrangler.jsonc") == "wrangler-jsonc"
    (tmp_path / "config.toml").write_text("")
    assert "only Wrangler's files can be several" in read("config.toml", "-c", "wrangler.json")


def test_only_wrangler_has_environments(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert "only a Wrangler file has environments" in read(str(tmp_path / "config.toml"), "--env", "x")


def test_an_empty_environment_is_none_as_with_wrangler(folder: Path) -> None:
    assert read(str(folder / "wrangler.toml"), "--env", "production") == "whole"
    assert read(str(folder / "wrangler.toml"), "--env", "") == read(str(folder / "wrangler.toml")) == "auth"
