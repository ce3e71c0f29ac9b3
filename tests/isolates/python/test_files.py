"""The files beside a worker: read as Python programs read files, and never written."""

from __future__ import annotations

import pytest

FILES = {
    "worker.py": """
import fileinput, glob, io, os, pathlib, shutil, stat, tempfile
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def look(self, code):
        return eval(code)
""",
    "data/a.txt": "one\r\ntwo\n",
    "data/b.bin": bytes(range(256)),
    "data/empty": b"",
    "data/deep/c.json": '{"x": 1}',
}
READS = {
    "open('data/a.txt').read()": "one\ntwo\n",
    "open('data/a.txt', newline='').read()": "one\r\ntwo\n",
    "open('/session/metadata/data/a.txt').readlines()": ["one\n", "two\n"],
    "open('data/../data/a.txt').readline()": "one\n",
    "open('data/b.bin', 'rb').read()": bytes(range(256)),
    "open('data/b.bin', 'rb').seek(250)": 250,
    "open('data/empty').read()": "",
    "open('data/b.bin', encoding='latin-1').read(66)[65]": "A",
    "open('data/a.txt').name": "data/a.txt",
    "io.open(pathlib.Path('data/a.txt')).read(3)": "one",
    "open(b'data/a.txt').read(3)": "one",
    "pathlib.Path('data/a.txt').read_bytes()": b"one\r\ntwo\n",
    "pathlib.Path('data/deep/c.json').read_text()": '{"x": 1}',
    "pathlib.Path('data').is_dir()": True,
    "pathlib.Path('data/a.txt').exists()": True,
    "pathlib.Path('nothing').exists()": False,
    "pathlib.Path('/etc/passwd').exists()": False,
    "pathlib.Path('data/a.txt').stat().st_size": 9,
    "sorted(path.name for path in pathlib.Path('data').iterdir())": ["a.txt", "b.bin", "deep", "empty"],
    "sorted(str(path) for path in pathlib.Path('.').rglob('*.json'))": ["data/deep/c.json"],
    "sorted(glob.glob('data/*.txt'))": ["data/a.txt"],
    "os.listdir('data/deep')": ["c.json"],
    "sorted(os.listdir())": ["data", "worker.py"],
    "os.getcwd()": "/session/metadata",
    "os.path.getsize('data/b.bin')": 256,
    "os.path.isfile('data/a.txt')": True,
    "os.path.isdir('data/a.txt')": False,
    "os.path.abspath('data')": "/session/metadata/data",
    "os.path.realpath('data/../data')": "/session/metadata/data",
    "[[root, sorted(folders), sorted(names)] for root, folders, names in os.walk('data')]": [
        ["data", ["deep"], ["a.txt", "b.bin", "empty"]],
        ["data/deep", [], ["c.json"]],
    ],
    "sorted(entry.name for entry in os.scandir('data') if entry.is_file())": ["a.txt", "b.bin", "empty"],
    "stat.S_ISDIR(os.stat('data').st_mode)": True,
    "os.access('data/a.txt', os.R_OK)": True,
    "os.access('data/a.txt', os.W_OK)": False,
    "list(fileinput.input('data/a.txt', encoding='utf-8'))": ["one\n", "two\n"],
}
WRITES = [
    "open('data/a.txt', 'w')",
    "open('new', 'w')",
    "open('new', 'x')",
    "open('data/a.txt', 'a')",
    "open('data/a.txt', 'r+')",
    "open('data/a.txt', 'wb')",
    "pathlib.Path('new').write_text('x')",
    "pathlib.Path('new').touch()",
    "pathlib.Path('new').mkdir()",
    "pathlib.Path('data/a.txt').unlink()",
    "os.remove('data/a.txt')",
    "os.rename('data/a.txt', 'new')",
    "os.mkdir('new')",
    "os.makedirs('new/deeper')",
    "os.rmdir('data')",
    "os.symlink('a', 'b')",
    "os.open('new', os.O_CREAT)",
    "os.truncate('data/a.txt', 0)",
    "os.utime('data/a.txt')",
    "os.chmod('data/a.txt', 0o777)",
    "shutil.copy('data/a.txt', 'new')",
    "shutil.rmtree('data')",
]
MISSING = {
    "open('nothing')": "FileNotFoundError",
    "open('/etc/passwd')": "FileNotFoundError",
    "open('../../etc/passwd')": "FileNotFoundError",
    "open('/proc/self/environ', 'rb')": "FileNotFoundError",
    "open('data')": "IsADirectoryError",
    "open(0)": "OSError",
    "open('a\\0b')": "ValueError",
    "open('data/a.txt', 'q')": "ValueError",
    "os.listdir('nothing')": "FileNotFoundError",
    "os.listdir('data/a.txt')": "NotADirectoryError",
    "os.stat('nothing')": "FileNotFoundError",
    "open(None)": "TypeError",
}


@pytest.fixture
def look(start):
    return lambda code: start(FILES).call("look", code)


@pytest.mark.parametrize("code", READS)
def test_reading(look, code):
    assert look(code).value == READS[code]


@pytest.mark.parametrize("code", WRITES)
def test_writing_is_a_read_only_file_system(look, code):
    failure = look(code).failure
    assert failure is not None
    assert failure.type_name == "OSError"
    assert "Read-only file system" in failure.message


@pytest.mark.parametrize("code", MISSING)
def test_what_is_not_there(look, code):
    failure = look(code).failure
    assert failure is not None
    assert failure.type_name == MISSING[code], failure


@pytest.mark.parametrize(
    "code", ["tempfile.TemporaryFile()", "tempfile.mkdtemp()", "tempfile.NamedTemporaryFile()"]
)
def test_there_is_no_place_for_temporary_files(look, code):
    failure = look(code).failure
    assert failure is not None
    assert failure.type_name in ("OSError", "FileNotFoundError")
