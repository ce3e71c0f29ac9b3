"""`pyworkerd engine`. The cache is the machine's own, except where it is damaged or emptied."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.engine import listed
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.component.image import fingerprint
from pyworkerd_isolates.engine import engine_key
from pyworkerd_isolates.known import NAME as KNOWN
from pyworkerd_isolates.languages import LANGUAGES
from pyworkerd_isolates.python.build import source

from tests.runtime.cli.command import project, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_isolates.engine import Engine


@pytest.fixture
def home(cache: Cache) -> Iterator[dict[str, str]]:
    """A home with the engines of today, and without the machine's many images, each of which a list reads."""
    built = {each["language"]: each["key"] for each in json.loads(run("engine", "build", "--json").stdout)}
    sources = [each for language in LANGUAGES for each in language.sources()]
    names = [f"engine-{each.language}-{engine_key(each)[:32]}.cwasm" for each in sources]
    names += [f"base-{language}-{key[:32]}.cwasm" for language, key in built.items()]
    with TemporaryDirectory(dir=cache.home) as folder:
        (Path(folder) / "sealed").mkdir()
        for path in (cache.home / "key", *(path for name in names for path in cache.folder.glob(f"{name}*"))):
            (Path(folder) / path.relative_to(cache.home)).hardlink_to(path)
        yield {"PYWORKERD_HOME": folder}


def test_build_and_list(engine: Engine, home: dict[str, str], tmp_path: Path) -> None:
    built = run("engine", "build", "--json", **home)
    assert built.returncode == 0
    ready = json.loads(built.stdout)
    assert [each["language"] for each in ready] == [
        "python",
        "javascript",
        "typescript",
        "javascript_storage",
    ]
    assert ready[0]["key"] == engine.key
    assert run("validate", project(tmp_path), **home).returncode == 0

    found = json.loads(run("engine", "list", "--json", **home).stdout)
    current = {each["kind"]: each for each in found if each["current"] and each["language"] == "python"}
    assert current.keys() == {"engine", "base", "image"}
    others = {(each["kind"], each["language"]) for each in found if each["current"]}
    assert {
        (kind, name)
        for kind in ("engine", "base")
        for name in ("javascript", "typescript", "javascript_storage")
    } <= others
    assert current["base"]["name"] == f"base-python-{engine.key[:32]}.cwasm"
    assert current["engine"]["size"] > 1_000_000


def test_old_and_current_are_told_apart(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    name = f"engine-python-{'0' * 32}.cwasm"
    key, other = "a" * 64, "b" * 64
    cache.put(name, b"x", {"language": "python", "key": other, "refusals": []})
    cache.put(f"base-python-{other[:32]}.cwasm", b"x", {})
    cache.put(f"image-{other[:16]}-{'1' * 32}-128.cwasm", b"x", {})
    cache.put(KNOWN, b"index", {"records": {}})  # the index of images is neither
    assert [(each.kind, each.current) for each in listed(cache.entries(), [source()])] == [
        ("base", False),
        ("engine", False),
        ("image", False),
    ]
    wanted = f"engine-python-{engine_key(source())[:32]}.cwasm"
    cache.put(wanted, b"xyz", {"language": "python", "key": key, "refusals": []})
    cache.put(f"base-python-{key[:32]}.cwasm", b"x", {})
    cache.put(f"image-{key[:16]}-{'1' * 32}-128.cwasm", b"x", {})
    found = listed(cache.entries(), [source()])
    assert sum(each.current for each in found) == 3
    assert {each.name for each in found if each.current and each.size == 3} == {wanted}
    assert {each.language for each in found if each.current} == {"python"}
    lines = run("engine", "list", PYWORKERD_HOME=str(tmp_path)).stdout.splitlines()
    assert len(lines) == 6
    assert any(line.startswith(wanted) and line.endswith("MB  current") for line in lines)


def test_programs(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for owner in (fingerprint(), "0" * 16):
        cache.put(f"program-{owner}-{'1' * 32}.cwasm", b"x", {})
    found = {each.name.split("-")[1]: each for each in listed(cache.entries(), [source()])}
    assert {each.kind for each in found.values()} == {"program"}
    assert {each.language for each in found.values()} == {"wasm"}
    assert [found[owner].current for owner in (fingerprint(), "0" * 16)] == [True, False]


def test_clean(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("engine-python-0.cwasm", b"x" * 1000, {"language": "python", "key": "0"})
    done = run("engine", "clean", "--json", PYWORKERD_HOME=str(tmp_path))
    assert json.loads(done.stdout)["freed"] >= 1000
    assert cache.entries() == []
    assert run("engine", "list", PYWORKERD_HOME=str(tmp_path)).stdout == ""
    assert run("engine", "clean", PYWORKERD_HOME=str(tmp_path)).stdout == "removed 0.0 MB\n"


def test_a_cache_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    (tmp_path / "key").chmod(0o600)
    done = run("engine", "list", PYWORKERD_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/key is damaged; remove it, everything is then built again\n"
