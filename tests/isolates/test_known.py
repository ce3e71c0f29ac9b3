"""The index of what was found before: it is believed only while nothing has changed."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
from pyworkerd_isolates import known as known_module
from pyworkerd_isolates.bundle import Folder
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.known import NAME, Known

PREFIX, SUFFIX = "image-engine-", "-128.cwasm"
IMAGE = f"{PREFIX}digest{SUFFIX}"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Files may be as new as they are in a test."""
    monkeypatch.setattr(known_module, "SETTLED_NS", -60_000_000_000)


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "home")
    cache.put(IMAGE, b"image", {})
    return cache


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "worker"
    root.mkdir()
    (root / "worker.py").write_text("x = 1")
    return Folder(root / "worker.py", root)


def image(name=IMAGE, handlers=None):
    return SimpleNamespace(name=name, memory_size=7, handlers=handlers or {"": ("fetch",)}, objects={})


def noted(cache, folder):
    known = Known(cache)
    known.note(folder, folder.signature(), image(), SUFFIX)
    return known


def find(known, folder):
    return known.find(folder, folder.signature(), PREFIX, SUFFIX)


def test_what_was_noted_is_found_and_by_another_process_once_it_is_saved(cache, folder):
    known = noted(cache, folder)
    entry = find(known, folder)
    assert (entry.name, entry.path, entry.size) == (IMAGE, cache.folder / IMAGE, 5)
    assert entry.notes == {"memory": 7, "handlers": {"": ["fetch"]}, "objects": {}, "logs": []}
    assert find(Known(cache), folder) is None
    known.save()
    assert find(Known(cache), folder) == entry


def test_a_find_counts_as_asking_for_the_image(cache, folder):
    known = noted(cache, folder)
    seal = cache.folder / f"{IMAGE}.seal"
    os.utime(seal, (1, 1))
    find(known, folder)
    assert seal.stat().st_mtime > 1


CHANGES = {
    "the worker": lambda cache, folder: folder.main.write_text("x = 2"),
    "its folder": lambda cache, folder: (folder.root / "new.py").touch(),
    "the image": lambda cache, folder: cache.put(IMAGE, b"other", {}),
    "an image that has gone": lambda cache, folder: (cache.folder / IMAGE).unlink(),
    "an image that others may write": lambda cache, folder: (cache.folder / IMAGE).chmod(0o666),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_a_change_nothing_is_known(cache, folder, change):
    known = noted(cache, folder)
    assert find(known, folder) is not None
    change(cache, folder)
    assert find(known, folder) is None


def test_another_engine_or_limit_is_another_image(cache, folder):
    known = noted(cache, folder)
    assert known.find(folder, folder.signature(), "image-other-", SUFFIX) is None
    assert known.find(folder, folder.signature(), PREFIX, "-64.cwasm") is None


def test_the_same_files_with_other_exclusions_are_another_bundle(cache, folder):
    known = noted(cache, folder)
    other = Folder(folder.main, folder.root, frozenset({folder.root / "config.toml"}))
    assert find(known, other) is None


def test_what_has_changed_just_now_is_not_noted(cache, folder, monkeypatch):
    monkeypatch.setattr(known_module, "SETTLED_NS", 60_000_000_000)
    assert find(noted(cache, folder), folder) is None


def test_long_notes_and_images_that_have_gone_are_not_noted(cache, folder):
    known = Known(cache)
    known.note(folder, folder.signature(), image(handlers={"a" * 5000: ("fetch",)}), SUFFIX)
    known.note(folder, folder.signature(), image(name="image-engine-gone-128.cwasm"), SUFFIX)
    assert find(known, folder) is None


def test_an_index_that_is_damaged_knows_nothing(cache, folder):
    noted(cache, folder).save()
    path = cache.folder / f"{NAME}.seal"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert find(Known(cache), folder) is None
    again = noted(cache, folder)
    again.save()
    assert find(Known(cache), folder) is not None


def test_two_processes_keep_what_both_knew(cache, tmp_path, folder):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/worker.py").write_text("y = 1")
    other = Folder(tmp_path / "other/worker.py", tmp_path / "other")
    first, second = noted(cache, folder), noted(cache, other)
    first.save()
    second.save()
    third = Known(cache)
    assert find(third, folder) is not None
    assert find(third, other) is not None


def test_the_newest_are_kept(cache, folder, monkeypatch):
    monkeypatch.setattr(known_module, "MAX_RECORDS", 3)
    for number in range(5):
        known = Known(cache)
        known.note(folder, folder.signature(), image(), f"-{number}{SUFFIX}")
        known.save()
    kept = cache.get(NAME).notes["records"]
    assert len(kept) == 3
    monkeypatch.setattr(known_module, "SEAL_LIMIT", 500)
    known = noted(cache, folder)
    known.save()
    assert 1 <= len(cache.get(NAME).notes["records"]) < 4
    assert find(Known(cache), folder) is not None


def test_it_is_saved_when_the_last_time_is_long_ago(cache, folder, monkeypatch):
    monkeypatch.setattr(known_module, "SAVE_AFTER_S", 0.0)
    noted(cache, folder)
    assert find(Known(cache), folder) is not None


def test_an_index_that_cannot_be_written_harms_nobody(cache, folder, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    known = noted(cache, folder)
    monkeypatch.setattr(cache, "rebuild", full)
    known.save()
    assert "No space left on device" in caplog.text
    assert find(known, folder) is not None


def test_threads(cache, folder, monkeypatch):
    monkeypatch.setattr(known_module, "SAVE_AFTER_S", 0.0)
    known = Known(cache)

    def note(number):
        for turn in range(5):
            known.note(folder, folder.signature(), image(), f"-{number}-{turn}")
            find(known, folder)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known.save()
    assert len(cache.get(NAME).notes["records"]) == 20
