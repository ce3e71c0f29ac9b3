"""`importlib.resources` over the bundle (packages are covered by test_importer)."""

from __future__ import annotations

import pytest

FILES = {
    "worker.py": """
import importlib.resources, package
from importlib.resources import files, as_file
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def look(self, code):
        return eval(code)
""",
    "package/__init__.py": "",
    "package/a.txt": "caf\u00e9\n",
    "package/deep/b.bin": b"\x00\x01",
}
LOOKS = {
    "(files('package') / 'a.txt').read_text(encoding='utf-8')": "caf\u00e9\n",
    "(files(package) / 'deep' / 'b.bin').read_bytes()": b"\x00\x01",
    "files('package').joinpath('deep/b.bin').name": "b.bin",
    "files('package').joinpath('deep').is_dir()": True,
    "files('package').joinpath('deep').is_file()": False,
    "files('package').joinpath('nothing').is_file()": False,
    "files('package').joinpath('a.txt').open().read()": "caf\u00e9\n",
    "files('package').joinpath('a.txt').open('rb').read(3)": b"caf",
    "importlib.resources.open_binary('package', 'a.txt').read(3)": b"caf",
    "sorted(importlib.resources.contents('package'))": ["__init__.py", "a.txt", "deep"],
    "repr(files('package').joinpath('a.txt'))": "<resource '/session/metadata/package/a.txt'>",
}


@pytest.mark.parametrize("code", LOOKS)
def test_resources(start, code):
    assert start(FILES).call("look", code).value == LOOKS[code]


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "nothing"])
def test_a_resource_that_is_not_there(start, path):
    assert (
        start(FILES).call("look", f"files('package').joinpath({path!r}).read_bytes()").failure.type_name
        == "FileNotFoundError"
    )
