"""Which files a configuration may name, and the copies that pycapnp is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_config import ConfigError
from pyworkerd_config.toml.document import MAX_BYTES
from pyworkerd_config.workerd.files import MAX_IMPORTS, Files, collect

if TYPE_CHECKING:
    from pathlib import Path

TEXT = 'using W = import "/workerd/workerd.capnp";\n'


def read(path: Path, limit: int) -> bytes:
    return path.read_bytes()[: limit + 1]


def collected(folder: Path, text: str, *import_paths: Path) -> Files:
    folder.mkdir(exist_ok=True)
    path = folder / "config.capnp"
    path.write_text(text)
    return collect(path, read, import_paths)


def test_copies_name_copies_and_have_ids(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/more.capnp").write_text(
        '@0xe6afd26682091c02;\nusing Back = import "../config.capnp";\nconst a :A = (x = embed "a.js");'
    )
    (tmp_path / "lib/a.js").write_text("secret")
    files = collected(tmp_path, f'{TEXT}using More = import "lib/more.capnp";\nconst b :Text = More.a;')
    assert set(files.copies) == {"workerd.capnp", "0.capnp", "1.capnp", "embedded-0"}
    assert 'import "workerd.capnp"' in files.copies["0.capnp"]
    assert 'import "1.capnp"' in files.copies["0.capnp"]
    assert files.copies["0.capnp"].rstrip().splitlines()[-1].startswith("@0x")
    assert 'import "0.capnp"' in files.copies["1.capnp"]
    assert files.copies["1.capnp"].count("@0x") == 1
    assert files.embedded == {files.copies["embedded-0"]: tmp_path / "lib/a.js"}
    assert "secret" not in "".join(files.copies.values())
    where = files.where("b")
    assert (where.place.file, where.place.line) == (tmp_path / "config.capnp", 3)
    inside = where.field("x").place
    assert (inside.file, inside.line) == (tmp_path / "lib/more.capnp", 3)


@pytest.mark.parametrize("word", ["import", "embed"])
def test_nothing_outside_of_the_folder_may_be_named(word: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    (tmp_path / "inside/circle").symlink_to(tmp_path / "inside/circle")
    for name in ("../outside", "link"):
        with pytest.raises(
            ConfigError, match="leads out of the folder of the configuration: move the file there"
        ) as caught:
            collected(tmp_path / "inside", f'const a :Text = {word} "{name}";')
        assert caught.value.problems[0].remedy.endswith(f"-I {tmp_path}")
    for name in ("circle", "absent", ".", "/dev/null", "x" * 5000):
        with pytest.raises(ConfigError, match="there is no such file"):
            collected(tmp_path / "inside", f'const a :Text = {word} "{name}";')
    (tmp_path / "outside\n").write_text("")
    with pytest.raises(ConfigError, match="no name of a file has such characters: write it in quotes"):
        collected(tmp_path / "inside", f"const a :Text = {word} `../outside\n;")
    collected(
        tmp_path / "inside",
        f'const a :Text = {word} "../outside"; const b :Text = {word} "/outside";',
        tmp_path,
    )


def test_constants_that_stand_for_each_other_have_a_place_all_the_same(tmp_path: Path) -> None:
    files = collected(tmp_path, "const a :Text = .b;\nconst b :Text = .a;")
    assert files.where("a").place.line in (1, None)


def test_there_are_not_too_many_files(tmp_path: Path) -> None:
    for number in range(MAX_IMPORTS + 1):
        (tmp_path / f"{number}.capnp").write_text(f'using N = import "{number + 1}.capnp";')
    with pytest.raises(ConfigError, match=f"a configuration has {MAX_IMPORTS} files at most"):
        collected(tmp_path, 'using N = import "0.capnp";')


def test_all_files_together_are_not_too_large(tmp_path: Path) -> None:
    half = "#" * (MAX_BYTES // 2)
    (tmp_path / "a.capnp").write_text(half)
    with pytest.raises(ConfigError, match="all files together are larger than 16 MiB"):
        collected(tmp_path, f'using A = import "a.capnp";\n{half}')


def test_a_configuration_may_be_a_link(tmp_path: Path) -> None:
    for name in ("real", "linked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.js").write_text(name)
    (tmp_path / "real/config.capnp").write_text('const a :Text = embed "a.js";')
    (tmp_path / "linked/config.capnp").symlink_to(tmp_path / "real/config.capnp")
    files = collect(tmp_path / "linked/config.capnp", read)
    assert list(files.embedded.values()) == [tmp_path / "linked/a.js"]
