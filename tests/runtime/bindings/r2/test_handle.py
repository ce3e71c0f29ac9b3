"""A bucket in the hands of a program, and of the workers that it gives it to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyworkerd.bindings.r2.handle import absent, etag_is, uploaded_before
from pyworkerd.bindings.r2.model import HttpMetadata, R2Object, R2ObjectBody
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.FILES.put("from the worker", request.body)
        return Response((await self.env.FILES.get("from the program")).body)
"""


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b"x" * 50_000


def test_a_program_and_its_workers_share_a_bucket(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            files = runtime.r2("files")
            assert repr(files) == "<r2 store 'files'>"
            written = await files.put(
                "from the program", chunks(), http_metadata=HttpMetadata("a/b"), custom_metadata={"a": "b"}
            )
            assert written is not None
            assert written.size == 1_000_000
            worker = await runtime.load(
                {"w.py": SOURCE}, bindings={"FILES": files}, limits=Limits(cpu_ms=5000)
            )
            answer = await worker.fetch("/", method="PUT", body=chunks())
            assert len(await answer.read()) == 1_000_000
            found = await files.get("from the worker", suffix=3)
            assert isinstance(found, R2ObjectBody)
            assert await found.text() == "xxx"
            page = await files.list("from", limit=1)
            assert [each.custom_metadata for each in page.objects] == [{"a": "b"}]
            assert page.truncated == (page.cursor is not None) is True
            await files.delete("from the program", "from the worker")
            assert await files.head("from the worker") is None
            await files.put("from the program", "bye")
            await files.aclose()
            assert await (await worker.fetch("/", method="PUT", body=b"")).text() == "bye"  # it keeps its own

    asyncio.run(main())


def test_conditions_and_parts(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            files = runtime.r2("files")
            first = await files.put("k", "1", only_if=absent())
            assert first is not None
            assert await files.put("k", "2", only_if=absent()) is None
            assert (
                type(await files.get("k", only_if=uploaded_before(datetime(2020, 1, 1, tzinfo=UTC))))
                is R2Object
            )
            assert await files.put("k", b"3", only_if=etag_is(first.etag)) is not None
            upload = await files.create_multipart_upload("p", http_metadata=HttpMetadata("c/d"))
            part = await files.upload_part("p", upload, 1, "part")
            done = await files.complete_multipart_upload("p", upload, [part])
            assert (done.size, done.http_metadata.content_type) == (4, "c/d")
            await files.abort_multipart_upload("p", await files.create_multipart_upload("p"))

    asyncio.run(main())
