"""What is in a compiled file, and what is not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from pyworkerd.compiled import compile_to, open_compiled
from pyworkerd.compiled import write as module
from pyworkerd.sources import read_modules
from pyworkerd_config import ConfigError, Worker, load

from tests.runtime.compiled.projects import CONFIG, project

HOLDS = [
    "manifest.json", "config.toml",
    "services/w/code/lib/word.js", "services/w/code/w.js",
    "services/w/assets/", "services/w/assets/_headers", "services/w/assets/index.html",
    "services/w/data/LOGO", "services/w/migrations/DB/", "services/w/migrations/DB/0001_t.sql",
    "services/files/disk/", "services/files/disk/a.txt",
]  # fmt: skip


def test_it_holds_what_is_served_and_no_secret(tmp_path: Path) -> None:
    output = tmp_path / "app.pyworkerd"
    summary = compile_to(load(project(tmp_path)), output)
    with zipfile.ZipFile(output) as archive:
        names = archive.namelist()
        everything = b"".join(archive.read(name) for name in names)
    assert sorted(names) == sorted(HOLDS)
    assert b"swordfish" not in everything
    assert str(tmp_path).encode() not in everything, "it does not say where it was made"
    assert (summary.workers, summary.files, summary.size) == (1, len(HOLDS) - 2, output.stat().st_size)


def test_modules_that_are_listed_are_in_it_under_their_names(tmp_path: Path) -> None:
    (tmp_path / "w.js").write_text("export default {}")
    (tmp_path / "config.capnp").write_text(
        'using W = import "/workerd/workerd.capnp";\n'
        'const c :W.Config = (services = [(name = "w", worker = (modules = [\n'
        '  (name = "worker", esModule = embed "w.js"), (name = "lib/word", text = "hello")]))],\n'
        '  sockets = [(name = "http", address = "127.0.0.1:0", service = "w")]);\n'
    )
    config = load(tmp_path / "config.capnp")
    compile_to(config, tmp_path / "app.pyworkerd")
    kind = open_compiled(tmp_path / "app.pyworkerd").services[0].kind
    before = config.services[0].kind
    assert isinstance(kind, Worker)
    assert isinstance(before, Worker)
    assert read_modules(kind.modules) == read_modules(before.modules)
    assert all(isinstance(module.content, Path) for module in kind.modules)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        compile_to(load(project(tmp_path / name)), tmp_path / f"{name}.pyworkerd")
        written.append((tmp_path / f"{name}.pyworkerd").read_bytes())
    assert written[0] == written[1]


def test_the_next_one_does_not_hold_the_last(tmp_path: Path) -> None:
    config = load(project(tmp_path))
    worker = next(service.kind for service in config.services if isinstance(service.kind, Worker))
    output = worker.main.with_name("app.pyworkerd")
    compile_to(config, output)
    before = output.read_bytes()
    compile_to(config, output)
    assert output.read_bytes() == before


def test_one_that_is_there_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    config = load(project(tmp_path / "project"))
    output = tmp_path / "app.pyworkerd"
    output.write_text("old")
    compile_to(config, output)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["app.pyworkerd"]
    with pytest.raises(ConfigError, match="cannot be written"):
        compile_to(config, tmp_path / "nowhere" / "app.pyworkerd")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'state_dir = "state"',
            'state_dir = "../state"',
            "state_dir lies outside of the folder of the configuration",
        ),
        (
            'path = "inbox"',
            'path = "/srv"',
            "the disk 'inbox' lies outside of the folder of the configuration",
        ),
        ('path = "files" }', 'path = "nothing" }', "nothing: cannot be read"),
        ('migrations = "sql"', 'migrations = "nothing"', "nothing: cannot be read"),
    ],
)
def test_what_cannot_be_compiled_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    config = load(project(tmp_path, CONFIG.replace(old, new)))
    with pytest.raises(ConfigError) as caught:
        compile_to(config, tmp_path / "app.pyworkerd")
    assert message in str(caught.value)
    assert not (tmp_path / "app.pyworkerd").exists()


def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(project(tmp_path))
    monkeypatch.setattr(module, "MAX_ENTRIES", 5)
    with pytest.raises(ConfigError, match="at most 5 files"):
        compile_to(config, tmp_path / "app.pyworkerd")


def test_a_secret_that_folders_have_different_values_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "wrangler.toml").write_text(f'name = "{name}"\nmain = "w.js"\n')
        (tmp_path / name / "w.js").write_text("export default {}")
        (tmp_path / name / ".dev.vars").write_text(f"TOKEN={name}\n")
    config = load(tmp_path / "a/wrangler.toml", tmp_path / "b/wrangler.toml")
    with pytest.raises(ConfigError, match="is not the same in every folder: give each a name of its own"):
        compile_to(config, tmp_path / "app.pyworkerd")
