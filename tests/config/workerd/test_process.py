"""pycapnp in a process of its own: what it reads, and how it ends."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyworkerd_config import ConfigError, load
from pyworkerd_config.load import is_message
from pyworkerd_config.workerd.files import SCHEMA, collect
from pyworkerd_config.workerd.process import read_message, read_texts

from tests.config.workerd.corpus import DATA, complaints, read, write

EVERYTHING = DATA / "everything.bin"


def message(data: bytes) -> dict[str, Any]:
    return read_message(Path("config.bin"), data, SCHEMA.read_bytes())


def test_a_message_of_workerds_own_says_what_its_text_says() -> None:
    files = collect(DATA / "everything.capnp", lambda path, _: path.read_bytes())
    texts = read_texts(files, "config")

    def with_contents(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_contents(each) for key, each in value.items()}
        if isinstance(value, list):
            return [with_contents(each) for each in value]
        return files.embedded[value].read_text() if value in files.embedded else value

    assert with_contents(texts) == message(EVERYTHING.read_bytes())


@pytest.mark.skipif(shutil.which("capnp") is None, reason="Cap'n Proto's own tools are not installed")
def test_a_message_of_cap_n_protos_own_tools(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'const c :W.Config = (services = [(name = "a", disk = "b")]);\n@0x89fb646d0ebefe4e;'
    )
    (tmp_path / "workerd").mkdir()
    shutil.copy(SCHEMA, tmp_path / "workerd")
    command = ["capnp", "eval", "--binary", f"-I{tmp_path}", str(path), "c"]
    made = message(subprocess.run(command, check=True, capture_output=True).stdout)
    assert made["services"][0]["disk"]["path"] == "b"


def test_a_message_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(EVERYTHING.read_bytes())
    assert is_message(path)
    with pytest.raises(ConfigError, match=r'"Socket\.tcp" is not supported'):
        load(path)
    path.write_bytes(EVERYTHING.read_bytes()[:-8])
    assert not is_message(path)
    path.write_text("[[services]]\n")
    assert not is_message(path)
    assert not is_message(tmp_path / "absent")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 8, EVERYTHING.read_bytes()[:1000], b"\xff" * 64, b"\xff\xff\xff\x7f" + b"\0" * 60],
    ids=["empty", "no root", "cut off", "ones", "segments"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="it is no configuration of workerd's in binary form"):
        message(data)


def pointer(at: int, to: int, kind: int, upper: int) -> int:
    """A pointer at a word of a message to another one (Cap'n Proto, "Encoding")."""
    return kind | (to - at - 1 & 0x3FFFFFFF) << 2 | upper << 32


def circle() -> bytes:
    """A configuration whose one worker has a wrapped binding that is among its own inner bindings."""
    words = [0] * 64

    def struct(at: int, to: int, data: int, pointers: int) -> None:
        words[at] = pointer(at, to, 0, data | pointers << 16)

    def one(at: int, to: int, data: int, pointers: int) -> int:
        """A list of one struct; returns where that is."""
        words[at] = pointer(at, to, 1, 7 | data + pointers << 3)
        words[to] = 1 << 2 | (data | pointers << 16) << 32
        return to + 1

    struct(0, 1, 1, 6)  # Config, its services at word 2
    service = one(2, 8, 1, 2)
    words[service] = 1  # it is a worker
    struct(service + 2, 13, 1, 16)
    binding = one(13 + 1 + 3, 30, 1, 6)
    words[binding] = 12  # it is wrapped
    struct(binding + 2, 39, 0, 3)
    one(39 + 2, 30, 1, 6)  # its inner bindings: the list that it is in
    words[30] = 1 << 2 | (1 | 6 << 16) << 32
    return (
        (0).to_bytes(4, "little")
        + len(words).to_bytes(4, "little")
        + b"".join(word.to_bytes(8, "little") for word in words)
    )


def test_a_message_that_points_in_circles_is_refused() -> None:
    with pytest.raises(ConfigError, match="structs lie in one another more than 48 deep"):
        message(circle())


def test_files_that_import_each_other_are_read(tmp_path: Path) -> None:
    (tmp_path / "other.capnp").write_text(
        'using W = import "/workerd/workerd.capnp";\nusing Back = import "config.capnp";\n'
        'const disk :W.Service = (name = Back.name, disk = "files");\n'
    )
    config = read(
        tmp_path,
        'using Other = import "other.capnp";\nconst name :Text = "files";\n'
        "const c :W.Config = (services = [Other.disk]);",
    )
    assert [service.name for service in config.services] == ["files", "internet"]


def test_constants_that_are_made_of_each_other_are_refused(tmp_path: Path) -> None:
    said = complaints(tmp_path, "const c :W.Config = (services = .d);\nconst d :List(W.Service) = .d;")
    assert len(said) == 1


def test_values_beyond_all_measure_are_refused(tmp_path: Path) -> None:
    flags, services = (", ".join([each] * 1000) for each in ('"x"', '(name = "a", worker = .u)'))
    text = (
        f"const f :List(Text) = [{flags}];\n"
        "const u :W.Worker = (compatibilityFlags = .f);\n"
        f"const c :W.Config = (services = [{services}]);"
    )
    assert complaints(tmp_path, text) == ["it has more than 500,000 values"]


def test_more_memory_than_a_configuration_may_have_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(
        f"const b{n + 1} :W.Worker.Binding = (wrapped = (innerBindings = [{', '.join([f'.b{n}'] * 100)}]));"
        for n in range(5)
    )
    services = "[(worker = (bindings = [.b5]))]"
    text = f'const b0 :W.Worker.Binding = (name = "x");\n{rows}\nconst c :W.Config = (services = {services});'
    assert complaints(tmp_path, text) == ["it takes more memory than a configuration may (1 GiB)"]


def test_a_name_that_ends_the_process_is_told_as_that(tmp_path: Path) -> None:
    text = f'const c :W.Config = (services = [(name = "a", worker = {".w" * 100_000})]);'
    (found,) = complaints(tmp_path, text)
    assert re.fullmatch(
        r"pycapnp ended while it read it \(status -\d+\): look for a name or a list .*", found
    )
