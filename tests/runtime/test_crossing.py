"""How values cross between workers: every row of the page's table, in every pair of languages, both ways."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from pyworkerd.runtime import Runtime

from tests.packaging.markdown import section

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a value is called in its language, and a text that is the same for equal values in both.
IN_JAVASCRIPT = """
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const bytes = (value) => [...value].join(" ");
const list = async (values) => (await Promise.all(values)).join(", ");
const pair = async ([key, value]) => `${await plain(key)}: ${await plain(value)}`;
const pairs = (entries) => list(Array.from(entries, pair));
const PLAIN = {
  Uint8Array: bytes,
  Date: (value) => value.toISOString(),
  Array: async (value) => `[${await list(value.map(plain))}]`,
  Object: async (value) => `{${await pairs(Object.entries(value))}}`,
  Map: async (value) => `{${await pairs(value)}}`,
  Set: async (value) => `{${await list([...value].map(plain))}}`,
  Error: (value) => `${value.name}: ${value.message}`,
  Headers: pairs,
  Request: async (value) => `${value.method} ${value.url} ${value.redirect === "follow"} ${await value.text()}`,
  Response: async (value) => `${value.status} ${value.statusText}${value.url}${value.redirected} ${await value.text()}`,
  Blob: async (value) => `${value.type} ${await value.text()}`,
  File: async (value) => `${value.name} ${value.lastModified} ${value.type} ${await value.text()}`,
  FormData: pairs,
  ReadableStream: async (value) => new Response(value).text(),
  WritableStream: async (value) => {
    await value.close();
    return `${value.locked}`;
  },
  RpcStub: async (value) => `${await value().catch(() => value.one())}`,
};
const nameOf = (value) => {
  if (value instanceof RpcStub) return "RpcStub";
  return value === null ? "null" : typeof value === "object" ? value.constructor.name : typeof value;
};
const plain = (value) => PLAIN[value instanceof Error ? "Error" : nameOf(value)]?.(value) ?? String(value);
const make = (expression, env) =>
  Function("RpcStub", "RpcTarget", "env", `return (async () => (${expression}))()`)(RpcStub, RpcTarget, env);
const show = async (value) => [nameOf(value), await plain(value)];

export default class extends WorkerEntrypoint {
  async fetch(request) {
    const { other, way, expressions } = await request.json();
    return Response.json(await Promise.all(expressions.map(async (expression) => {
      try {
        if (way === "argument") return await this.env[other].show(await make(expression, this.env));
        return await show(await this.env[other].make(expression));
      } catch (error) {
        return ["refused", `${error.name}: ${error.message}`];
      }
    })));
  }
  async make(expression) { return make(expression, this.env); }
  lend() { return () => 1; }
  writable() { return new WritableStream(); }
  async show(value) { return show(value); }
}
"""
IN_PYTHON = """
import asyncio
from datetime import UTC, datetime

from workers import (
    Blob, BodyStream, File, FormData, Headers, Request, Response, RpcPromise, RpcStub, RpcTarget, WebSocketPair,
    WorkerEntrypoint, WritableStream,
)


def listed(values):
    return ", ".join(values)


async def plain(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, bytes):
        return " ".join(map(str, value))
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, list):
        return f"[{listed([await plain(each) for each in value])}]"
    if isinstance(value, dict):
        return f"{{{await pairs(value.items())}}}"
    if isinstance(value, set):
        return f"{{{listed([await plain(each) for each in value])}}}"
    if isinstance(value, Exception):
        name = getattr(value, "name", None) or type(value).__name__
        return f"{name}: {getattr(value, 'message', value)}"
    if isinstance(value, (Headers, FormData)):
        return await pairs(value.items())
    if isinstance(value, Request):
        return f"{value.method} {value.url} {str(value.redirect == 'follow').lower()} {await value.text()}"
    if isinstance(value, Response):
        redirected = str(value.redirected).lower()
        return f"{value.status} {value.status_text}{value.url}{redirected} {await value.text()}"
    if isinstance(value, File):
        return f"{value.name} {value.last_modified} {value.type} {await value.text()}"
    if isinstance(value, Blob):
        return f"{value.type} {await value.text()}"
    if isinstance(value, BodyStream):
        return (await value.read()).decode()
    if isinstance(value, WritableStream):
        await value.close()
        return "false"
    if isinstance(value, RpcStub):
        try:
            return str(await value())
        except Exception:
            return str(await value.one())
    return str(value)


async def pairs(items):
    return listed([f"{await plain(key)}: {await plain(value)}" for key, value in items])


async def show(value):
    return [type(value).__name__, await plain(value)]


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        asked = await request.json()
        other = getattr(self.env, asked["other"])
        return Response.json([await self.try_one(other, asked["way"], each) for each in asked["expressions"]])

    async def try_one(self, other, way, expression):
        try:
            if way == "argument":
                return await other.show(await self.make(expression))
            return await show(await other.make(expression))
        except Exception as error:
            return ["refused", f"{type(error).__name__}: {error}"]

    async def make(self, expression):
        value = eval(expression, globals(), {"env": self.env})
        return await value if isinstance(value, RpcPromise) else value

    async def show(self, value):
        return await show(value)
"""
LANGUAGES = {"JavaScript": {"w.js": IN_JAVASCRIPT}, "Python": {"w.py": IN_PYTHON}}
SPANS = re.compile(r"`([^`]+)`")


def table() -> Iterator[tuple[str, dict[str, list[str]], dict[str, str]]]:
    """Of each row: what it is, expressions by language, and as what it arrives, by language."""
    lines = [
        line for line in section("docs/javascript.md", "Between languages").splitlines() if line[:1] == "|"
    ]
    for line in lines[2:]:
        what, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        from_js, from_python, to_js, to_python = cells
        senders = {"JavaScript": SPANS.findall(from_js), "Python": SPANS.findall(from_python)}
        yield what, senders, {"JavaScript": to_js.strip("`"), "Python": to_python.strip("`")}


ROWS = list(table())


async def send(way: str) -> dict[tuple[str, str], list[list[str]]]:
    """What became of each expression, by sender and receiver. `way`: as an argument, or as a result."""
    found = {}
    async with Runtime() as runtime:
        lender = {"OTHER": await runtime.load(LANGUAGES["JavaScript"])}
        receivers = {name: await runtime.load(source, bindings=lender) for name, source in LANGUAGES.items()}
        for asking, source in LANGUAGES.items():
            worker = await runtime.load(source, bindings={**receivers, **lender})
            for other in LANGUAGES:
                sender, receiver = (asking, other) if way == "argument" else (other, asking)
                expressions = [each for _, senders, _ in ROWS for each in senders[sender]]
                body = json.dumps({"other": other, "way": way, "expressions": expressions})
                answer = await worker.fetch("/", method="POST", body=body.encode())
                found[sender, receiver] = json.loads(await answer.text())
    return found


@pytest.mark.parametrize("way", ["argument", "result"])
def test_every_row_of_the_table_in_every_pair_of_languages(way: str, sandbox: object) -> None:
    outcomes = asyncio.run(send(way))
    contents: dict[str, set[str]] = {}
    for (sender, receiver), answers in outcomes.items():
        rest = iter(answers)
        for what, senders, arrives in ROWS:
            for expression in senders[sender]:
                kind, content = next(rest)
                about = f"{way}: {expression} from {sender} to {receiver}: {content}"
                assert kind == arrives[receiver], about
                if kind != "refused":
                    contents.setdefault(what, set()).add(content)
                elif arrives["JavaScript"] == "refused":
                    assert re.search("DataCloneError|cannot be sent", content), about
                else:
                    assert "is a key of a Map or a member of a Set" in content, about
        assert next(rest, None) is None
    assert {what: found for what, found in contents.items() if len(found) > 1} == {}


def test_the_table_is_whole() -> None:
    assert len(ROWS) > 25
    assert all(any(senders.values()) for _, senders, _ in ROWS)
