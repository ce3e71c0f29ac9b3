"""Recordings as attackers write them, and guests who try to leave a secret in one."""

from __future__ import annotations

import base64
import codecs
import hmac
import json
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.replay.again import replay
from pyworkerd_isolates.replay.recording import MAX_FILE, Step, encode
from pyworkerd_isolates.testing import bundle_of

from tests.isolates.replay.test_isolates import LIMITS, SOURCES
from tests.isolates.replay.test_recording import BAD, RECORDING
from tests.runtime.cli.command import run
from tests.runtime.dispatch.test_recorded import TOKEN, recorded, text

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd.runtime import Runtime
    from pyworkerd_isolates.images import Images

TELLS_ALL = """
import base64, codecs, hmac, json, zlib
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        token = self.env.TOKEN
        raw = token.encode()
        print(token, token[::-1], *token, base64.b85encode(raw), raw.hex(":"), codecs.encode(token, "rot13"))
        await self.env.ASK(token, raw, [token], {token: 1}, zlib.compress(raw))
        headers = {"x-token": token, "x-basic": base64.b64encode(b"u:" + raw).decode()}
        headers["x-xor"] = bytes(b ^ 1 for b in raw).hex()
        signed = hmac.new(raw, raw, "sha256").hexdigest()
        return Response(json.dumps([token, [ord(c) for c in token], signed]), headers=headers)
"""


def test_whatever_a_guest_makes_of_a_secret_is_not_in_the_file(tmp_path: Path) -> None:
    """The isolate whose effects are written never had it: not even a rotation, or the characters one by one."""
    answers: list[str] = []

    async def echo(*arguments: Any) -> Any:
        return list(arguments[:4])

    async def work(_: Runtime, worker: Any) -> None:
        answers.append(
            await text(worker, "/", headers={"authorization": f"Bearer {TOKEN}", "x-note": f"<{TOKEN}>"})
        )

    (recording,) = recorded(tmp_path / "r", work, {"worker.py": TELLS_ALL}, {"ASK": echo})
    assert json.loads(answers[0])[0] == TOKEN, "the real one had it"
    assert recording.differs is not None, "and did something else"
    whole, raw = encode(recording), TOKEN.encode()
    rotated = codecs.encode(TOKEN, "rot13")
    forms = [raw, raw[::-1], base64.b64encode(raw)[:-4], raw.hex().encode(), raw.hex(":").encode(), rotated.encode(),
             base64.b85encode(raw), zlib.compress(raw), hmac.new(raw, raw, "sha256").hexdigest().encode(),
             bytes(b ^ 1 for b in raw).hex().encode(), json.dumps([ord(c) for c in TOKEN]).encode(),
             " ".join(TOKEN).encode()]  # fmt: skip
    assert [form for form in forms if form in whole] == []


@pytest.mark.parametrize("what", ["another file for an image", "cut off", "another version", "nothing"])
def test_the_command_refuses_forged_files_in_one_line(what: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(BAD[what])
    refused = run("replay", tmp_path / "x", "--json")
    assert refused.returncode == 2
    (problem,) = json.loads(refused.stdout)["problems"]
    assert problem["text"].startswith(str(tmp_path / "x"))


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(100 * MAX_FILE)
    refused = run("replay", tmp_path / "x")
    assert (refused.returncode, "larger than a recording" in refused.stderr) == (2, True)
    assert run("replay", tmp_path).returncode == 2
    assert run("replay", tmp_path / "absent").returncode == 2


def test_forged_events_end_in_the_sandbox(images: Images) -> None:
    image = images.get(bundle_of(SOURCES["python"]), LIMITS)
    forged = [
        b"", b"\xff" * 100, wire.encode([]), wire.encode([["nobody"]]), wire.encode([["fetch", 1]]),
        wire.encode([["resolve", 99, "value", 0]], [b"x"]), wire.encode([["init", 1, 2], ["init", [], {}]]),
    ]  # fmt: skip
    try:
        for events in forged:
            recording = replace(RECORDING, steps=(Step(1, events, b"x"),))
            with suppress(RecordingError):
                assert [each.difference for each in replay(recording, image, LIMITS)] != [None]
    finally:
        images.release(image)
