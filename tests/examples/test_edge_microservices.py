"""`examples/edge-microservices`: what the article that this project began with shows, part by part."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import textwrap
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import pytest
from pyworkerd.runtime import Runtime
from pyworkerd.serving import Serving
from pyworkerd_bench.http_client import get_request
from pyworkerd_bench.load import generate
from pyworkerd_config import Config, ConfigError, Worker, load

from tests.runtime.cli.command import PROGRAM, ask, run, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLE = Path(__file__).parents[2] / "examples/edge-microservices"
OF_EACH = {
    "front": {"CACHE": "kv", "auth": "service", "header": "service", "offers": "service"},
    "auth": {"DB": "d1"},
    "catalog": {"prices": "service"},
    "prices": {},
    "header": {},
    "offers": {"catalog": "service"},
    "logs": {"LOGS": "kv"},
}
"""All that each worker may use."""
LIMIT = 20
"""Of a client, on /catalog/items in a minute."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns(".pyworkerd")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "edge", ignore=ignored))


def configured(folder: Path, environment: str | None = None) -> Config:
    """What the example says, on a port that is free."""
    config = load(folder / "wrangler.toml", environment=environment)
    return replace(config, sockets=(replace(config.sockets[0], address="127.0.0.1:0"),))


class Site(NamedTuple):
    """The example, served."""

    runtime: Runtime
    serving: Serving
    client: aiohttp.ClientSession
    port: int

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.client.get(path, headers=headers) as response:
            return response.status, await response.text()

    async def publish(self, config: Config) -> None:
        """As a reload does."""
        await self.serving.switch(await self.serving.prepare(config))

    def counted(self, worker: str, family: str = "requests") -> int:
        rows = self.serving.metrics().get(family, {})
        return sum(numbers[0] for row, numbers in rows.items() if row[0] == worker)


@asynccontextmanager
async def served(config: Config) -> AsyncIterator[Site]:
    async with Runtime(config) as runtime:
        serving = Serving(runtime)
        try:
            (socket,) = await serving.start()
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(f"http://{socket.address}", cookie_jar=jar) as client:
                yield Site(runtime, serving, client, int(socket.address.rpartition(":")[2]))
        finally:
            await serving.aclose()


@pytest.mark.parametrize("environment", [None, "production"])
def test_each_worker_has_what_it_needs_and_no_more(environment: str | None) -> None:
    config = load(EXAMPLE / "wrangler.toml", environment=environment)
    assert config.sockets[0].address == "127.0.0.1:8787"
    assert config.warnings == ()
    workers = {each.name: each.kind for each in config.services if isinstance(each.kind, Worker)}
    assert {
        name: {binding.name: binding.kind for binding in worker.bindings} for name, worker in workers.items()
    } == OF_EACH
    assert {worker.global_outbound for worker in workers.values()} == {None}


def test_a_visit(folder: Path) -> None:
    async def main() -> None:
        async with served(configured(folder)) as site:
            assert await site.get("/auth/login") == (200, '{"login":"POST a form with your name"}')
            assert (await site.get("/auth/me"))[0] == 401
            status, items = await site.get("/catalog/items")
            assert status == 200
            assert json.loads(items)["items"][1] == {"name": "tea", "price": 4.5}
            assert (await site.get("/prices/"))[0] == 404, "no route leads there"

            _, page = await site.get("/")
            assert page.index("Tea, at the edge") < page.index("<form") < page.index("<li>tea, 4.50 €</li>")
            async with site.client.post("/auth/login", data={"name": "<Ann>"}) as response:
                assert 'id="greeting">Hello, &#60;Ann&#62;!</p>' in await response.text()
            assert (await site.client.post("/auth/login", data={"name": ""})).status == 400

            for source in (None, "CACHE"):
                async with site.client.get("/homepage") as response:
                    assert response.headers.get("x-from") == source
                    assert "<form" in await response.text()
                await site.runtime.quiet()
            users = await site.runtime.d1("my-db", worker="auth").query("SELECT name FROM users")
            assert users == [{"name": "<Ann>"}]

            logs = site.runtime.kv("edge-logs", worker="logs")
            names = [entry.name for entry in (await logs.list(prefix="log:")).keys]
            told = [json.loads(await logs.get(name) or "") for name in names]
            assert {"auth", "catalog", "front", "header", "offers", "prices"} <= {
                each["scriptName"] for each in told
            }
            assert ["somebody logged in"] in [each["logs"] for each in told]

    asyncio.run(main())


GATED = """
let open;
const opened = new Promise((resolve) => { open = resolve; });
export default { async fetch(request) {
  if (request.url.endsWith("/open")) open();
  await opened;
  return Response.json({ items: [{ name: "late", price: 1 }] });
} };
"""


def test_fragments_are_sent_as_they_come(folder: Path) -> None:
    async def main() -> None:
        (folder / "catalog/index.ts").write_text(GATED)
        async with served(configured(folder)) as site, site.client.get("/") as response:
            seen = b""
            while b"Log in" not in seen:
                seen += await response.content.readany()
            assert b"Tea, at the edge" in seen
            assert b"late" not in seen
            assert (await site.get("/catalog/open"))[0] == 200
            assert "<li>late, 1.00 €</li>" in (await response.read()).decode()

    asyncio.run(main())


def test_a_fragment_that_fails_is_missing_and_the_page_is_there(folder: Path) -> None:
    async def main() -> None:
        (folder / "header/index.ts").write_text("export default { fetch() { throw new Error('broken'); } };")
        async with served(configured(folder)) as site:
            status, page = await site.get("/")
            assert status == 200
            assert page.index("This part is missing today.") < page.index("<li>tea, 4.50 €</li>")
            assert page.rstrip().endswith("</html>")

    asyncio.run(main())


def flood(port: int) -> tuple[int, int]:
    """Answers to one client that asks as fast as it can, and how many of them were none of the limit's."""
    answers = let_through = 0
    while answers < 5 * LIMIT:
        request = [get_request("/catalog/items")]
        load = generate(port, request, connections=8, warmup=0, seconds=0.2, status=429)
        answers, let_through = answers + load.answers, let_through + load.refused
    return answers, let_through


def test_a_flood_ends_before_the_catalog(folder: Path) -> None:
    async def main() -> None:
        async with served(configured(folder)) as site:
            answers, let_through = await asyncio.to_thread(flood, site.port)
            await site.runtime.quiet()
            assert let_through <= site.counted("catalog") <= 2 * LIMIT, (
                "a minute may have begun in the middle"
            )
            assert site.counted("catalog") >= LIMIT
            assert site.counted("catalog", "requests_limited") >= answers - let_through
            async with site.client.get("/catalog/items") as response:
                assert (response.status, response.headers["x-pyworkerd-error"]) == (429, "rate_limited")
                assert 1 <= int(response.headers["retry-after"]) <= 60
            assert "<li>tea, 4.50 €</li>" in (await site.get("/"))[1], "the page asks within the process"

    asyncio.run(main())


def test_one_service_is_published_and_the_others_go_on(folder: Path) -> None:
    async def main() -> None:
        async with served(configured(folder)) as site:
            await site.get("/catalog/items")
            await site.get("/auth/login")
            before = {name: site.counted(name, "cold_starts") for name in OF_EACH}
            source = folder / "auth/index.ts"
            source.write_text(source.read_text().replace("POST a form with your name", "second version"))
            await site.publish(configured(folder))
            assert "second version" in (await site.get("/auth/login"))[1]
            assert (await site.get("/catalog/items"))[0] == 200
            after = {name: site.counted(name, "cold_starts") for name in OF_EACH}
            assert after == {**before, "auth": before["auth"] + 1}

    asyncio.run(main())


def test_a_mistake_is_told_before_anything_is_published(folder: Path) -> None:
    text = (folder / "wrangler.toml").read_text()
    (folder / "wrangler.toml").write_text(text.replace('bindings = ["prices"]', 'bindings = ["price"]'))
    with pytest.raises(ConfigError, match=r'there is no binding "price": did you mean "prices"\?'):
        load(folder / "wrangler.toml")


GREEDY = """
const NAMES = ["front", "auth", "header", "offers", "logs", "catalog", "internet"];
const made = NAMES.map((name) => new ServiceBinding(name));
const db = D1Database.fromEnv("DB");
const said = async (ask) => { try { return `got ${await ask()}`; } catch (error) { return `${error}`; } };
export default { async fetch(request, env) {
  const found = [Object.keys(env).join(), typeof CACHE, typeof LOGS, typeof DB];
  for (const each of made) found.push(await said(() => each.fetch("/me")));
  for (const name of NAMES) found.push(await said(() => new ServiceBinding(name)));
  found.push(await said(() => db.execute("SELECT name FROM users")));
  for (const host of [new URL(request.url).host, "auth", "169.254.169.254"])
    found.push(await said(() => fetch(`http://${host}/me`)));
  return Response.json(found);
} };
"""


def test_everything_else_is_out_of_reach(folder: Path) -> None:
    async def main() -> None:
        (folder / "catalog/index.ts").write_text(GREEDY)
        async with served(configured(folder)) as site:
            env, *rest = json.loads((await site.get("/catalog/items"))[1])
            assert env == "prices"
            assert rest[:3] == ["undefined"] * 3
            assert not [answer for answer in rest if answer.startswith("got")]
            named = [
                answer
                for answer in rest
                if "the configuration of this worker names no such binding" in answer
            ]
            assert len(named) == 15
            assert all("no outbound network" in answer for answer in rest[-3:])

    asyncio.run(main())


def test_its_own_tests() -> None:
    done = run("test", "-c", EXAMPLE / "tests/wrangler.toml", "-c", EXAMPLE / "wrangler.toml", "--json")
    assert done.returncode == 0, done.stderr
    assert [(test["entrypoint"], test["ok"]) for test in json.loads(done.stdout)["tests"]] == [
        ("homepage", True),
        ("items", True),
        ("login", True),
    ]
    assert "error" not in done.stderr, "their tail worker was told"


def test_its_types(tmp_path: Path) -> None:
    files = ("-c", EXAMPLE / "wrangler.toml", "-c", EXAMPLE / "tests/wrangler.toml")
    done = run("types", *files, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    declared = (tmp_path / "worker-configuration.d.ts").read_text()
    assert "interface FrontEnv {\n  CACHE: KVNamespace;" in declared
    assert "interface TestsEnv {\n  auth: Service<" in declared, "several files are one server"


def steps(name: str) -> list[str]:
    """The commands of a job of the workflow, which is plain enough to be read by line."""
    text = (EXAMPLE / ".github/workflows/publish.yml").read_text()
    job = text.partition(f"\n  {name}:\n")[2]
    job = re.split(r"\n  \w", job)[0]
    blocks = re.findall(r"^        run: \|\n((?:          .*\n?)+)", job, re.MULTILINE)
    lines: list[str] = re.findall(r"^      - run: (.*)$", job, re.MULTILINE)
    return lines + [textwrap.dedent(block) for block in blocks]


def shell(command: str, folder: Path, **environment: str) -> str:
    """What a command of the workflow says, run as its runner does."""
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_the_workflow_checks(folder: Path) -> None:
    commands = [command for command in steps("test") if command.startswith("pyworkerd ")]
    assert [command.split()[1] for command in commands] == ["validate", "validate", "types", "test"]
    for command in commands:
        shell(command, folder)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_workflow_publishes_what_has_changed_and_nothing_else(folder: Path) -> None:
    (command,) = [command for command in steps("publish") if "pyworkerd deploy" in command]
    services = re.search(r"service: \[(.*)\]", (EXAMPLE / ".github/workflows/publish.yml").read_text())
    assert services is not None
    names = services[1].split(", ")
    assert sorted(names) == sorted(OF_EACH)
    git = "git -c user.name=a -c user.email=a@a.example -c commit.gpgsign=false"
    shell(f"git init -q && git add -A && {git} commit -qm first", folder)
    address = f"unix:{folder.parent}/admin"
    config = folder / "wrangler.toml"
    options = ("--env=production", "--socket-addr=http=127.0.0.1:0", f"--admin={address}")
    with serve("--config", config, *options) as served:
        host = served.address()
        assert ask(host, "/auth/login").body == '{"login":"POST a form with your name"}'
        source = folder / "auth/index.ts"
        source.write_text(source.read_text().replace("POST a form with your name", "second version"))
        shell(f"git add -A && {git} commit -qm second", folder)
        told = {"BEFORE": "HEAD^", "GITHUB_SHA": "0123abc", "PYWORKERD_ADMIN": address}
        said = [shell(command, folder, SERVICE=name, **told) for name in names]
        assert [name for name, each in zip(names, said, strict=True) if each] == ["auth"]
        assert ask(host, "/auth/login").body == '{"login":"second version"}'
        assert served.stop(signal.SIGTERM) == 0


AS_WRITTEN = {
    "wrangler.toml": """
name = "edge"
main = "src/index.ts"

[[services]]
name = "auth"
route = "/auth/*"

[[services]]
name = "catalog"
route = "/catalog/*"

[triggers]
crons = []

[vars]
DB = "d1:my-db"

[[kv_namespaces]]
binding = "CACHE"
id = "0123abc"
""",
    "src/bindings.ts": """
export const authService = new ServiceBinding("auth");
export const catalogService = new ServiceBinding("catalog");
""",
    "src/index.ts": """
import { authService, catalogService } from "./bindings";

export default {
  async fetch(request) {
    const cached = await CACHE.get("homepage");
    if (cached) return new Response(cached);
    const me = await authService.fetch("/me", { headers: { Authorization: "Bearer abc" } });
    const items = await catalogService.fetch("/items");
    const fresh = `${await me.text()} ${await items.text()}`;
    await CACHE.put("homepage", fresh, { expirationTtl: 300 });
    return new Response(fresh);
  },
};
""",
    "auth.ts": """
const db = D1Database.fromEnv("DB");
let number = 0;

export default {
  async fetch(request: Request) {
    await db.exec("CREATE TABLE IF NOT EXISTS users (id INTEGER, name TEXT)");
    const [id, name] = [(number += 1), request.headers.get("authorization")];
    await db.execute("INSERT INTO users (id, name) VALUES (?, ?)", [id, name]);
    const { results } = await db.execute("SELECT count(*) AS n FROM users");
    return new Response(`${new URL(request.url).pathname} ${name} ${results[0].n}`);
  },
};
""",
    "src/catalog.js": "export default { fetch: (request) => new Response(new URL(request.url).pathname) };",
}


def test_the_article_as_it_is_written(tmp_path: Path) -> None:
    """Its spellings alone: what the workers of one file may use is not narrowed, and programs are found by name."""
    for name, text in AS_WRITTEN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    async def main() -> None:
        async with served(configured(tmp_path)) as site:
            assert await site.get("/auth/login") == (200, "/auth/login null 1")
            assert await site.get("/catalog/items") == (200, "/catalog/items")
            assert await site.get("/") == (200, "/me Bearer abc 2 /items")
            assert await site.get("/") == (200, "/me Bearer abc 2 /items"), "kept"
            assert site.counted("catalog") == 2

    asyncio.run(main())
