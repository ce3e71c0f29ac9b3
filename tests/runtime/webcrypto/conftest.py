"""A JavaScript worker that runs the body of a function, with the real host behind it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = """
const { subtle } = crypto;
const hex = (bytes) => new Uint8Array(bytes).toHex();
const bytes = (text) => Uint8Array.fromHex(text);
const utf8 = (text) => new TextEncoder().encode(text);
const failure = async (action) => {
  try {
    return `it gave ${JSON.stringify(await action())}`;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
const tools = { subtle, hex, bytes, utf8, failure };
const Body = (async () => {}).constructor;
export default {
  async fetch(request) {
    const [body, values] = await request.json();
    const all = { ...tools, ...values };
    const value = await new Body(...Object.keys(all), body)(...Object.values(all));
    return Response.json([value ?? null]);
  },
};
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """What the body of a function returns, as JSON has it, given these values."""
    main = tmp_path_factory.mktemp("webcrypto") / "worker.js"
    main.write_text(SOURCE)
    with asyncio.Runner() as runner:

        async def begin() -> tuple[Runtime, Any]:
            runtime = await Runtime().__aenter__()
            return runtime, await runtime.load(main, limits=Limits(cpu_ms=5000, calls=0))

        runtime, worker = runner.run(begin())

        async def ask(body: str, values: dict[str, Any]) -> Any:
            answer = await worker.fetch("/", method="POST", body=json.dumps([body, values]).encode())
            assert answer.status == 200, await answer.text()
            return json.loads(await answer.text())[0]

        def evaluate(body: str, **values: Any) -> Any:
            return runner.run(ask(body, values))

        yield evaluate
        runner.run(runtime.__aexit__(None, None, None))
