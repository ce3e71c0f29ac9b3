"""What counts as a change, and when it is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pyworkerd.supervisor import watching
from pyworkerd.supervisor.watching import PAUSE_S, Watch, look, pause_after
from pyworkerd_config import load

from tests.runtime.cli.command import CONFIG, ask, project
from tests.runtime.supervisor.supervised import SAYS, supervised, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A, B, C = ({"f": (number, 0, 0)} for number in range(3))


def test_a_change_is_told_once_and_when_it_is_over() -> None:
    watch = Watch(A)
    seen = [A, B, C, C, C, A, A, B, A, A]
    assert [watch.changed(each) for each in seen] == [
        False, False, False, True, False, False, True, False, False, False
    ]  # fmt: skip


def test_files_that_are_new_to_it_have_not_changed() -> None:
    watch = Watch({"f": (0, 0, 0), "gone": (0, 0, 0)})
    learnt = {"f": (1, 0, 0), "new": (0, 0, 0)}
    watch.learn(learnt)
    assert watch.changed(learnt), "what it knew before has"
    assert not watch.changed(learnt)
    watch.learn({**learnt, "more": (0, 0, 0)})
    assert not watch.changed({**learnt, "more": (0, 0, 0)})


def test_pauses_grow_with_the_work() -> None:
    assert pause_after(0.001) == PAUSE_S
    assert pause_after(1.0) == 20.0


def touch(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda folder: (folder / "config.toml").write_text("#"), True),
        (lambda folder: touch(folder / ".dev.vars"), True),
        (lambda folder: (folder / "w.py").write_text("#"), True),
        (lambda folder: (folder / "w.py").unlink(), True),
        (lambda folder: touch(folder / "more/module.py"), True),
        (lambda folder: touch(folder / "data.bin"), True),
        (lambda folder: touch(folder / ".git/index"), False),
        (lambda folder: touch(folder / ".w.py.swp"), False),
        (lambda folder: touch(folder / "__pycache__/w.pyc"), False),
        (lambda folder: touch(folder / "node_modules/x"), False),
        (lambda folder: touch(folder / "stores/db.sqlite3"), False),
    ],
)
def test_what_a_reload_would_read_is_looked_at(
    tmp_path: Path, change: Callable[[Path], object], counts: bool
) -> None:
    config = load(
        project(
            tmp_path,
            'state_dir = "stores"\n'
            + CONFIG
            + '[services.worker.bindings]\nD = { data = { file = "../d" } }\n'.replace("../d", "w.py"),
        )
    )
    before = look(config)
    change(tmp_path)
    assert (look(config) != before) is counts


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (".dev.vars", True),
        (".dev.vars.production", True),
        (".env", True),
        (".env.local", True),
        (".envrc", False),
        (".env/x", False),
    ],
)
def test_local_secrets_beside_a_wrangler_file_are_looked_at(tmp_path: Path, name: str, counts: bool) -> None:
    (tmp_path / "w.js").write_text("")
    (tmp_path / "wrangler.toml").write_text('name = "w"\nmain = "w.js"')
    config = load(tmp_path / "wrangler.toml")
    before = look(config)
    touch(tmp_path / name)
    assert (look(config) != before) == counts


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time(tmp_path: Path) -> None:
    config = load(project(tmp_path))
    before = look(config)
    path = tmp_path / "w.py"
    status = path.stat()
    (tmp_path / "new").write_text(path.read_text().replace("hello", "world"))
    os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert look(config) != before


def test_there_are_only_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_FILES", 3)
    config = load(project(tmp_path))
    for number in range(10):
        touch(tmp_path / f"more/{number}")
    assert len(look(config)) <= 4


def test_saving_a_file_reloads(tmp_path: Path) -> None:
    with supervised(write(tmp_path), "--watch", processes=1) as served:
        address = served.complete()
        (tmp_path / "w.py").write_text("half a fi(")
        assert "SyntaxError" in served.errors.until("not reloaded")
        assert ask(address).body == "one"
        (tmp_path / "w.py").write_text(SAYS.replace("{version}", "two"))
        served.errors.until("reloaded in")
        assert ask(address).body == "two"
        (tmp_path / "config.toml").write_text("nonsense")
        served.errors.until("not reloaded")
        write(tmp_path, "three")
        served.errors.until("reloaded in")
        assert ask(address).body == "three"


def test_files_of_a_worker_that_was_refused_are_looked_at(tmp_path: Path) -> None:
    with supervised(write(tmp_path), "--watch", processes=1) as served:
        served.complete()
        other = tmp_path / "other"
        other.mkdir()
        (other / "o.py").write_text("half a fi(")
        with (tmp_path / "config.toml").open("a") as file:
            file.write('[[services]]\nname = "o"\n[services.worker]\nmain = "other/o.py"\n')
        assert "o.py:1" in served.errors.until("not reloaded")
        (other / "o.py").write_text(SAYS)
        served.errors.until("reloaded in")
