"""Mapped images: shared by workers of the same bundle, unmapped when there are too many that nobody uses."""

from __future__ import annotations

import os
import threading

import pytest
from pyworkerd_isolates import images as images_module
from pyworkerd_isolates import known as known_module
from pyworkerd_isolates.bundle import Bundle, Folder
from pyworkerd_isolates.errors import ClosedIsolate, EngineError, TopLevelRaised
from pyworkerd_isolates.images import Images
from pyworkerd_isolates.isolate import Isolate
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.slots import Slots

from tests.isolates.test_image import WORKER

LIMITS = Limits(startup_ms=10_000)


@pytest.fixture
def images(sandbox, monkeypatch):
    monkeypatch.setattr(known_module, "SETTLED_NS", -60_000_000_000)
    opened = Images(sandbox.engines, sandbox.cache, Slots(), unused=2)
    yield opened
    opened.close()


def bundle(number=0):
    return Bundle.of({"worker.py": f"{WORKER}\n# images {number}"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "worker.py").write_text(f"# {os.urandom(8).hex()}\n{WORKER}")
    return Folder(tmp_path / "worker.py", tmp_path)


def is_open(image):
    try:
        return image.module.pointer is not None
    except ClosedIsolate:
        return False


def test_workers_of_one_bundle_share_a_mapping(images):
    first, second = images.get(bundle(), LIMITS), images.get(bundle(), LIMITS)
    assert first.module is second.module
    assert first is not second
    assert not second.built
    assert len(images) == 1
    assert images.get(bundle(), Limits(memory_mb=64, startup_ms=10_000)).module is not first.module


def test_what_nobody_uses_stays_mapped_until_there_are_too_many(images):
    held = [images.get(bundle(number), LIMITS) for number in range(4)]
    for image in held[:2]:
        images.release(image)
    assert all(map(is_open, held))
    again = images.get(bundle(0), LIMITS)
    assert again.module is held[0].module
    images.release(held[2])
    images.release(held[3])
    assert [is_open(image) for image in held] == [True, False, True, True]
    images.release(again)
    assert [is_open(image) for image in held] == [True, False, False, True]
    assert len(images) == 2


def test_what_a_close_overtook_is_let_go_of(images):
    early = images.get(bundle(), LIMITS)
    images.close()
    late = images.get(bundle(), LIMITS)
    images.release(late)
    assert len(images) == 0
    images.release(early)


def test_a_live_isolate_keeps_what_it_needs(images, sandbox):
    image = images.get(bundle(), LIMITS)
    isolate = Isolate(sandbox.engine, image, LIMITS)
    images.release(image)
    images.close()
    assert not is_open(image)
    assert isolate.memory_size == image.memory_size
    isolate.end()


def test_a_folder_is_known_again_without_being_read(images, folder, monkeypatch):
    first = images.get(folder, LIMITS)
    assert first.built
    images.release(first)
    images.close()
    monkeypatch.setattr(Bundle, "read", None)  # whoever calls it fails
    monkeypatch.setattr(images_module, "build_image", None)
    second = images.get(folder, LIMITS)
    assert (second.name, second.built) == (first.name, False)
    assert second.handlers == first.handlers
    assert second.objects == first.objects
    assert second.memory_size == first.memory_size


OBJECT = """
import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject {}
"""


def test_objects_in_javascript_have_an_engine_with_storage(images):
    plain = images.get(Bundle.of({"w.js": "export default { fetch() {} };"}), LIMITS)
    image = images.get(Bundle.of({"w.js": OBJECT}), LIMITS)
    assert (plain.engine.language, image.engine.language) == ("javascript", "javascript_storage")
    assert image.objects == {"Room": ()}
    assert len(images) == 3  # the one of the smaller engine stays for a while
    images.release(image)
    images.release(plain)


def test_a_folder_with_objects_is_known_again_without_being_read(images, tmp_path, monkeypatch):
    (tmp_path / "w.js").write_text(f"// {os.urandom(8).hex()}\n{OBJECT}")
    folder = Folder(tmp_path / "w.js", tmp_path)
    first = images.get(folder, LIMITS)
    monkeypatch.setattr(Folder, "read", None)  # whoever calls it fails
    again = images.get(folder, LIMITS)
    assert (again.name, again.built, again.engine) == (first.name, False, first.engine)
    monkeypatch.undo()
    (tmp_path / "w.js").write_text("export default { fetch() {} };")
    assert images.get(folder, LIMITS).engine.language == "javascript"


def test_what_another_version_noted_is_built_again(images, folder, monkeypatch):
    monkeypatch.setattr(known_module, "kept_notes", lambda _: {"memory": 1, "handlers": {}, "logs": []})
    first = images.get(folder, LIMITS)
    images.release(first)
    images.close()
    second = images.get(folder, LIMITS)
    assert second.handlers == first.handlers
    assert second.memory_size == first.memory_size


def test_a_folder_that_has_changed_is_read(images, folder):
    first = images.get(folder, LIMITS)
    folder.main.write_text(f"# {os.urandom(8).hex()}\n{WORKER}")
    second = images.get(folder, LIMITS)
    assert second.built
    assert second.name != first.name


def test_a_folder_that_changes_while_it_is_read_is_not_noted(images, folder, monkeypatch):
    read = Bundle.read

    def read_and_change(*arguments):
        found = read(*arguments)
        folder.main.write_text(f"# {os.urandom(8).hex()}\n{WORKER}")
        return found

    monkeypatch.setattr(Bundle, "read", read_and_change)
    first = images.get(folder, LIMITS)
    monkeypatch.setattr(Bundle, "read", read)
    assert images.get(folder, LIMITS).name != first.name


def test_a_known_image_that_cannot_be_mapped_is_found_in_the_usual_way(images, folder, monkeypatch):
    first = images.get(folder, LIMITS)
    images.release(first)
    images.close()

    def fail(*_):
        raise EngineError("not this one")

    monkeypatch.setattr(images_module, "open_image", fail)
    second = images.get(folder, LIMITS)
    assert (second.name, second.built) == (first.name, False)


def test_what_does_not_deploy_is_not_kept(images):
    broken = Bundle.of({"worker.py": "raise ValueError('no')"})
    for _ in range(2):
        with pytest.raises(TopLevelRaised, match="no"):
            images.get(broken, LIMITS)
    assert len(images) == 0


def test_many_who_ask_at_once_wait_for_one(images):
    source = Bundle.of({"worker.py": f"# {os.urandom(8).hex()}\n{WORKER}"})
    found = []
    threads = [threading.Thread(target=lambda: found.append(images.get(source, LIMITS))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({image.module for image in found}) == 1
    assert sum(image.built for image in found) == 1


def test_slots_belong_to_a_worker_and_go_with_it(sandbox):
    slots = Slots()
    images = Images(sandbox.engines, sandbox.cache, slots)
    mine, other = images.get(bundle(), LIMITS), images.get(bundle(), LIMITS)
    assert slots.take(mine) is None
    assert slots.take(other) is None
    assert len(slots._shelves) == 2
    images.release(mine)
    assert len(slots._shelves) == 1
    images.close()
