"""Sealed files: what is ours and whole is found, everything else is built again and never used."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates import cache as cache_module
from pyworkerd_isolates.cache import HOME_VARIABLE, KEY_BYTES, Cache, default_home
from pyworkerd_isolates.errors import EngineError

NAME = "thing.cwasm"
DATA = b"native code " * 1000
NOTES = {"language": "python", "refusals": ["a", "b"]}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def filled(home):
    cache = Cache(home)
    cache.put(NAME, DATA, NOTES)
    return cache


def parts(cache):
    return cache.folder / NAME, cache.folder / f"{NAME}.seal"


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_what_was_put_is_found_with_its_notes(filled, home):
    for cache in (filled, Cache(home)):
        entry = cache.get(NAME)
        assert entry is not None
        assert (entry.name, entry.notes, entry.size) == (NAME, NOTES, len(DATA))
        assert entry.path.read_bytes() == DATA


def test_an_absent_file_is_none_and_no_cause_for_a_log_line(home, caplog):
    assert Cache(home).get(NAME) is None
    assert not caplog.records


DAMAGES = {
    "a bit of the file": lambda file, seal: flip(file, 100),
    "the last bit of the file": lambda file, seal: flip(file, -1),
    "a bit of the MAC": lambda file, seal: flip(seal, 0),
    "a bit of the notes": lambda file, seal: flip(seal, -1),
    "a truncated file": lambda file, seal: file.write_bytes(DATA[:-1]),
    "a longer file": lambda file, seal: file.write_bytes(DATA + b"\0"),
    "an empty file": lambda file, seal: file.write_bytes(b""),
    "a truncated seal": lambda file, seal: seal.write_bytes(seal.read_bytes()[:20]),
    "an empty seal": lambda file, seal: seal.write_bytes(b""),
    "a seal of zeros": lambda file, seal: seal.write_bytes(bytes(200)),
    "no seal": lambda file, seal: seal.unlink(),
    "writable by the group": lambda file, seal: file.chmod(0o620),
    "writable by everybody": lambda file, seal: file.chmod(0o602),
    "a folder in its place": lambda file, seal: (file.unlink(), file.mkdir()),
    "a folder in the seal's place": lambda file, seal: (seal.unlink(), seal.mkdir()),
    "a fifo in its place": lambda file, seal: (file.unlink(), os.mkfifo(file)),
    "a dangling link": lambda file, seal: (file.unlink(), file.symlink_to(file.with_name("nowhere"))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_sound_is_not_used_and_says_why(filled, caplog, damage):
    DAMAGES[damage](*parts(filled))
    assert filled.get(NAME) is None
    (record,) = caplog.records
    assert str(filled.folder / NAME) in record.getMessage()
    assert "built again" in record.getMessage()


REBUILT = [damage for damage in DAMAGES if "folder" not in damage]


@pytest.mark.parametrize("damage", REBUILT)
def test_what_is_not_sound_is_built_again(filled, caplog, damage):
    DAMAGES[damage](*parts(filled))
    entry = filled.get_or_build(NAME, lambda: (b"new", {"language": "again"}))
    assert entry.path.read_bytes() == b"new"
    assert filled.get(NAME).notes == {"language": "again"}
    assert stat.S_IMODE(entry.path.lstat().st_mode) == 0o600
    assert len(caplog.records) == 1


def test_a_link_to_a_sound_file_is_not_followed(filled, caplog):
    file, seal = parts(filled)
    for path in (file, seal):
        elsewhere = filled.home / path.name
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        assert filled.get(NAME) is None
        assert "symbolic link" in caplog.text
        path.unlink()
        elsewhere.rename(path)
    assert filled.get(NAME) is not None


def test_a_file_under_another_name_is_foreign(filled, caplog):
    file, seal = parts(filled)
    file.rename(filled.folder / "other.cwasm")
    seal.rename(filled.folder / "other.cwasm.seal")
    assert filled.get("other.cwasm") is None
    assert "another file" in caplog.text


def test_a_seal_of_another_file_is_no_seal(filled, caplog):
    filled.put("other.cwasm", b"other", {})
    (filled.folder / "other.cwasm.seal").replace(parts(filled)[1])
    assert filled.get(NAME) is None
    assert "seal does not match" in caplog.text


def test_a_cache_of_another_user_or_machine_is_foreign(filled, tmp_path, caplog):
    other = Cache(tmp_path / "other")
    for path in parts(filled):
        (other.folder / path.name).write_bytes(path.read_bytes())
    assert other.get(NAME) is None
    assert "seal does not match" in caplog.text


def test_an_old_format_is_not_read(filled, monkeypatch, caplog):
    monkeypatch.setattr("pyworkerd_isolates.cache.FORMAT", 99)
    assert filled.get(NAME) is None
    assert "another version" in caplog.text


def test_notes_are_not_decoded_before_the_mac_is_right(filled, monkeypatch):
    def explode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr("pyworkerd_isolates.cache.msgpack.unpackb", explode)
    flip(parts(filled)[1], -1)
    assert filled.get(NAME) is None
    flip(parts(filled)[1], -1)
    with pytest.raises(AssertionError, match="decoded"):
        filled.get(NAME)


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_are_never_taken_for_a_sealed_file(tmp_path_factory, seal, data):
    cache = Cache(tmp_path_factory.getbasetemp() / "arbitrary")
    file, beside = parts(cache)
    file.write_bytes(data)
    file.chmod(0o600)
    beside.write_bytes(seal)
    assert cache.get(NAME) is None


@pytest.mark.parametrize(
    "name", ["", "../key", "/etc/passwd", "a/b", ".hidden", "x.seal", "x.lock", "x.new", "a\0b", "a\nb"]
)
def test_a_name_cannot_lead_out_of_the_folder(filled, name):
    with pytest.raises(ValueError, match="cannot name"):
        filled.get(name)
    with pytest.raises(ValueError, match="cannot name"):
        filled.put(name, b"x", {})


def test_folders_and_files_are_private(home):
    home.mkdir(mode=0o755)
    cache = Cache(home)
    cache.put(NAME, DATA, NOTES)
    for folder in (home, cache.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (*parts(cache), home / "key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_was_opened_to_others_is_closed_again(filled, home):
    filled.folder.chmod(0o777)
    Cache(home)
    assert stat.S_IMODE(filled.folder.stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_refused(home, monkeypatch):
    Cache(home)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(EngineError, match=HOME_VARIABLE):
        Cache(home)


def test_a_key_that_others_could_read_is_replaced(filled, home, caplog):
    before = (home / "key").read_bytes()
    (home / "key").chmod(0o644)
    again = Cache(home)
    after = (home / "key").read_bytes()
    assert before != after
    assert len(after) == KEY_BYTES
    assert "new key" in caplog.text
    assert again.get(NAME) is None


@pytest.mark.parametrize("content", [b"", b"short", bytes(KEY_BYTES + 1)])
def test_a_damaged_key_says_what_to_do(home, content):
    Cache(home)
    (home / "key").write_bytes(content)
    with pytest.raises(EngineError, match="remove it"):
        Cache(home)


def test_a_key_that_is_a_link_is_refused(home, tmp_path):
    Cache(home)
    (home / "key").rename(tmp_path / "key")
    (home / "key").symlink_to(tmp_path / "key")
    with pytest.raises(EngineError, match="symbolic link"):
        Cache(home)


def test_an_interrupted_write_leaves_nothing_behind(home, monkeypatch):
    cache = Cache(home)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        cache.put(NAME, DATA, NOTES)
    assert list(cache.folder.iterdir()) == []


def test_an_incomplete_entry_is_built_again(filled):
    answers = iter((False, False))
    entry = filled.get_or_build(NAME, lambda: (b"new", {}), lambda _: next(answers))
    assert entry.path.read_bytes() == b"new"


def test_entries_lists_the_sound_files_and_clean_removes_all_but_locks_and_writes_under_way(filled, caplog):
    filled.get_or_build("a.cwasm", lambda: (b"a", {}))
    filled.put("broken.cwasm", b"b", {})
    flip(filled.folder / "broken.cwasm", 0)
    (filled.folder / ".DS_Store").write_bytes(b"x")
    (filled.folder / "under-way.new").write_bytes(b"x")
    (filled.folder / "abandoned.new").write_bytes(b"x")
    os.utime(filled.folder / "abandoned.new", (0, 0))
    assert [entry.name for entry in filled.entries()] == ["a.cwasm", NAME]
    size = sum(
        p.stat().st_size for p in filled.folder.iterdir() if p.suffix != ".lock" and p.name != "under-way.new"
    )
    assert filled.clean() == size
    left = {path.name for path in filled.folder.iterdir()}
    assert "under-way.new" in left
    assert {name for name in left if not name.endswith(".lock")} == {"under-way.new"}
    assert filled.get(NAME) is None


def test_what_was_not_asked_for_longest_goes_first(filled):
    for number in range(4):
        filled.put(f"image-{number}.cwasm", bytes(100), {})
        os.utime(filled.folder / f"image-{number}.cwasm.seal", (number, number))
    filled.get_or_build("image-0.cwasm", lambda: (b"", {}))
    assert filled.trim("image-", 250) == 200
    assert [entry.name for entry in filled.entries()] == ["image-0.cwasm", "image-3.cwasm", NAME]
    assert not (filled.folder / "image-1.cwasm.seal").exists()
    assert filled.trim("image-", 1000) == 0


def test_asking_for_a_file_changes_nothing_about_it(filled):
    before = filled.identity(NAME)
    os.utime(filled.folder / f"{NAME}.seal", (1, 1))
    filled.touch(NAME)
    assert (filled.folder / f"{NAME}.seal").stat().st_mtime > 1
    assert filled.identity(NAME) == before
    assert filled.get(NAME) is not None
    filled.touch("absent")


def test_a_file_that_was_written_again_has_another_identity(filled):
    before = filled.identity(NAME)
    filled.put(NAME, DATA, NOTES)
    assert filled.identity(NAME) not in {before, None}


def test_only_private_files_have_an_identity(filled):
    assert filled.identity("absent") is None
    (filled.folder / "link").symlink_to(NAME)
    (filled.folder / "folder").mkdir()
    assert filled.identity("link") is None
    assert filled.identity("folder") is None
    (filled.folder / NAME).chmod(0o666)
    assert filled.identity(NAME) is None


def test_what_is_rebuilt_may_read_what_it_replaces(filled):
    def build():
        before = filled.get(NAME)
        return before.path.read_bytes() + b"more", {"count": 1}

    assert filled.rebuild(NAME, build).notes == {"count": 1}
    assert filled.get(NAME).path.read_bytes() == DATA + b"more"


def test_locks_do_not_pile_up(filled):
    for number in range(200):
        filled.get_or_build(f"{number}.cwasm", lambda: (b"x", {}))
    assert len(list(filled.folder.glob("*.lock"))) <= 64


def test_the_default_home(monkeypatch, tmp_path):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "named"))
    assert default_home() == tmp_path / "named"
    monkeypatch.delenv(HOME_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_home() == tmp_path / "xdg" / "pyworkerd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".cache" / "pyworkerd"


STOPS = """
import os, signal, sys
from pathlib import Path
from pyworkerd_isolates.cache import Cache

def build():
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    return b"theirs " * 1000, {"whose": "theirs"}

Cache(Path(sys.argv[1])).get_or_build(sys.argv[2], build)
"""


def test_nobody_waits_forever_for_a_process_that_was_stopped_with_a_lock(home, monkeypatch, caplog):
    monkeypatch.setattr(cache_module, "WAIT_S", 0.2)
    monkeypatch.setattr(cache_module, "TELL_S", 0.1)
    cache = Cache(home)
    with subprocess.Popen([sys.executable, "-c", STOPS, home, NAME], stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        entry = cache.get_or_build(NAME, lambda: (DATA, NOTES))
        assert entry.path.read_bytes() == DATA
        assert cache.get(NAME) == entry
        said = [record.getMessage() for record in caplog.records]
        assert said[0] == f"{NAME} waits for process {pid}, which makes it or something else"
        assert said[1].startswith(f"{NAME} is made without its lock: process {pid} has held it for")
        # Whatever becomes of the other one: what is found is whole.
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 0
        assert cache.get(NAME).notes == {"whose": "theirs"}
        cache.rebuild(NAME, lambda: (DATA, NOTES))
        assert len(said) == len(caplog.records)


def _build_in_a_process(home, ready, go, results):
    cache = Cache(home)
    ready.release()
    go.wait()

    def build():
        with (home / "built").open("a") as log:
            log.write("once\n")
        return DATA, NOTES

    entry = cache.get_or_build(NAME, build)
    results.put((entry.notes == NOTES, entry.path.read_bytes() == DATA))


def test_processes_that_start_at_once_share_one_key_and_build_once(home):
    home.mkdir(mode=0o700)
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Semaphore(0), context.Event(), context.Queue()
    processes = [
        context.Process(target=_build_in_a_process, args=(home, ready, go, results)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    go.set()
    assert [results.get() for _ in processes] == [(True, True)] * 3
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (home / "built").read_text() == "once\n"
    assert sorted(path.name for path in home.iterdir()) == ["built", "key", "sealed"]
