"""Secrets and bindings: never in an image, a log, an explanation or an answer."""

import asyncio
from pathlib import Path

from pyworkerd.bindings.secret import Secret
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import load, to_json, to_toml
from pyworkerd_isolates.cache import Cache

VALUE = "correct-horse-battery-staple"
WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print(self.env)
        return Response(str(len(self.env.TOKEN)))
"""
CONFIG = """
[[services]]
name = "holder"
[services.worker]
main = "src/holder.py"
[services.worker.bindings]
TOKEN = { secret = "TOKEN" }
"""


def test_a_secret_is_in_no_file_that_is_kept(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "holder.py").write_text(WORKER)
    (tmp_path / "src" / ".dev.vars").write_text(f'TOKEN = "{VALUE}"\n')
    (tmp_path / ".dev.vars").write_text(f'TOKEN = "{VALUE}"\n')
    (tmp_path / "config.toml").write_text(CONFIG)

    async def main() -> str:
        config = load(tmp_path / "config.toml")
        assert VALUE not in to_toml(config)
        assert VALUE not in str(to_json(config))
        assert VALUE not in repr(config)
        async with Runtime(config, RuntimeOptions(environment={})) as runtime:
            worker = runtime.worker("holder")
            response = await worker.fetch("/")
            kept = Cache().folder
            assert VALUE.encode() not in (kept / worker.service.image.name).read_bytes()
            assert all(VALUE not in entry.message for entry in worker.logs)
            assert VALUE not in repr(worker.service.channels)
            return await response.text()

    assert asyncio.run(main()) == str(len(VALUE))


def test_a_secret_given_by_a_program_shows_nowhere(sandbox: object) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": WORKER}, bindings={"TOKEN": Secret(VALUE)})
            assert await (await worker.fetch("/")).text() == str(len(VALUE))
            assert all(VALUE not in entry.message for entry in worker.logs)
        assert VALUE not in repr(Secret(VALUE))

    asyncio.run(main())
