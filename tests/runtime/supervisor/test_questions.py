"""What serving processes can be asked."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pyworkerd.messages import Request
from pyworkerd.observe.feed import Feed, Question, read_answer
from pyworkerd.observe.snapshot import unpack
from pyworkerd.runtime import RuntimeOptions
from pyworkerd.serving import Serving
from pyworkerd.supervisor.questions import QUESTIONS, TASKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("served")
"""


def test_what_was_counted(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": SOURCE}, name="w")
        await worker.fetch(Request("GET", "http://w/"))
        serving = Serving(runtime)
        answer = QUESTIONS["collect"](serving, b"")
        assert unpack(answer) == serving.metrics()
        assert any("w" in labels for rows in unpack(answer).values() for labels in rows)

    with_runtime(main)


def test_what_workers_said_and_did(with_runtime: Callable[..., None]) -> None:
    feed = Feed()

    async def main(runtime: Runtime) -> None:
        question = QUESTIONS["entries"]
        assert read_answer(question(Serving(runtime), Question(follow=True).pack())).entries == []
        worker = await runtime.load({"w.py": SOURCE}, name="w")
        await worker.fetch(Request("GET", "http://w/tea"))
        await runtime.quiet()
        ((number, outcome),) = read_answer(question(Serving(runtime), Question().pack())).entries
        assert (number, outcome.worker, outcome.request_id != "") == (1, "w", True)

    with_runtime(main, None, RuntimeOptions(sinks=(feed,), feed=feed))


def test_nothing_is_kept_without_an_admin_address(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        assert QUESTIONS["entries"](Serving(runtime), Question().pack()) == b""

    with_runtime(main)


def test_a_file_is_synced_or_the_number_of_the_error_told(tmp_path: Path) -> None:
    assert TASKS["sync"](os.fsencode(tmp_path)) == b"0"
    assert TASKS["sync"](os.fsencode(tmp_path / "gone")) == b"%d" % errno.ENOENT
