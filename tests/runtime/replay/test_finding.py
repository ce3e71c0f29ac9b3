"""The image of a recording: the very one, one that is built again, or a sentence that says why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.replay.finding import build, bundle_of, find
from pyworkerd_config import load
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.image import build_image
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.testing import bundle_of as bundle

from tests.isolates.replay.test_isolates import SOURCES
from tests.isolates.replay.test_recording import RECORDING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyworkerd_isolates.replay.recording import Recording
    from pyworkerd_isolates.testing import Sandbox

CODE = bundle(SOURCES["python"])


@pytest.fixture
def recording(sandbox: Sandbox) -> Iterator[Recording]:
    """Of an image that is in the cache."""
    image = build_image(sandbox.engine, sandbox.cache, CODE, Limits(startup_ms=10_000))
    digest = hashlib.sha256((sandbox.cache.folder / image.name).read_bytes()).hexdigest()
    files = {name: hashlib.sha256(data).hexdigest() for name, data in CODE.files.items()}
    yield replace(RECORDING, image=image.name, image_digest=digest, files=files)
    image.close()


def test_the_very_image_is_found_in_the_cache(recording: Recording, sandbox: Sandbox) -> None:
    for found in (
        find(recording, sandbox.engines, sandbox.cache),
        build(recording, CODE, sandbox.engines, sandbox.cache, changed=False),
    ):
        assert found is not None
        assert (found.image.name, found.note) == (recording.image, "")
        found.image.close()


def test_one_that_was_built_again_is_said_to_be(recording: Recording, sandbox: Sandbox) -> None:
    found = find(replace(recording, image_digest="00"), sandbox.engines, sandbox.cache)
    assert found is not None
    assert "built again" in found.note
    found.image.close()
    other = replace(recording, image=f"image-{'0' * 16}-{recording.code}-128.cwasm")
    assert find(other, sandbox.engines, sandbox.cache) is None
    found = build(other, CODE, sandbox.engines, sandbox.cache, changed=False)
    assert "the engine is another one" in found.note
    found.image.close()


def test_changed_code_is_refused_by_the_names_of_its_files(recording: Recording, sandbox: Sandbox) -> None:
    now = bundle({**SOURCES["python"], "more.py": "", "worker.py": SOURCES["python"]["worker.py"] + "\n"})
    with pytest.raises(RecordingError, match=r"is not what was recorded \(more.py, worker.py differ\)"):
        build(recording, now, sandbox.engines, sandbox.cache, changed=False)
    forged = replace(recording, files={**recording.files, "a\nerror: all is well\x1b[2J": "00"})
    with pytest.raises(RecordingError, match=r"\(a\\nerror: all is well\\x1b\[2J, more.py"):
        build(forged, now, sandbox.engines, sandbox.cache, changed=False)
    with pytest.raises(RecordingError, match=r"is not what was recorded: check out"):
        build(replace(recording, files={}), now, sandbox.engines, sandbox.cache, changed=False)
    with pytest.raises(RecordingError, match="recorded in python, and the code is javascript"):
        build(recording, bundle(SOURCES["javascript"]), sandbox.engines, sandbox.cache, changed=True)


@pytest.mark.parametrize("language", ["wasm", "../python", ""])
def test_other_languages_cannot_be_replayed(language: str, recording: Recording, sandbox: Sandbox) -> None:
    with pytest.raises(RecordingError, match="cannot be replayed"):
        find(replace(recording, language=language), sandbox.engines, sandbox.cache)


def test_the_code_is_that_of_the_worker_of_this_name(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "w.py").write_text("w = 1")
    (tmp_path / "w" / "other.py").write_text("other = 1")
    (tmp_path / "config.toml").write_text(
        '[[services]]\nname = "w"\nworker = { main = "w/w.py" }\n'
        '[[services]]\nname = "other"\nworker = { main = "w/other.py" }\n'
    )
    config = load(tmp_path / "config.toml")
    assert set(bundle_of(config, "w").files) == {"w.py"}
    with pytest.raises(RecordingError, match="no worker 'internet'"):
        bundle_of(config, "internet")
