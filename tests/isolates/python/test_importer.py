"""Imports inside the sandbox: all of the standard library, a worker's own modules, and what it brings along."""

from __future__ import annotations

import json

import pytest

PROBE = """
import importlib, sys
from workers import WorkerEntrypoint

FINDER = next(finder for finder in sys.meta_path if hasattr(finder, "packed"))

class Default(WorkerEntrypoint):
    async def names(self):
        return sorted(FINDER.packed)

    async def load(self, names):
        failed = {}
        for name in names:
            try:
                importlib.import_module(name)
            except BaseException as error:
                failed[name] = f"{type(error).__name__}: {error}"
        return failed
"""

ABSENT_C_MODULES = {
    "_bz2": "bz2 compression.bz2 encodings.bz2_codec",
    "_ctypes": """_pyrepl.windows_console ctypes ctypes._aix ctypes._endian ctypes._layout ctypes.macholib
        ctypes.macholib.dyld ctypes.macholib.dylib ctypes.macholib.framework ctypes.util ctypes.wintypes
        multiprocessing.sharedctypes""",
    "_curses": "curses curses.ascii curses.has_key curses.panel curses.textpad",
    "_dbm": "dbm.ndbm",
    "_gdbm": "dbm.gnu",
    "_interpreters": """concurrent.futures.interpreter concurrent.interpreters concurrent.interpreters._crossinterp
        concurrent.interpreters._queues""",
    "_lzma": "compression.lzma lzma",
    "_multiprocessing": "multiprocessing.forkserver multiprocessing.resource_tracker multiprocessing.synchronize",
    "_remote_debugging": "asyncio.tools",
    "_ssl": "ssl",
    "_zstd": "compression.zstd compression.zstd._zstdfile",
    "mmap": "multiprocessing.heap multiprocessing.shared_memory",
    "msvcrt": "multiprocessing.popen_spawn_win32",
    "termios": """_pyrepl.fancy_termios _pyrepl.readline _pyrepl.simple_interact _pyrepl.unix_console
        _pyrepl.unix_eventqueue pty tty""",
}
FOREIGN = """asyncio.windows_events asyncio.windows_utils encodings.mbcs encodings.oem multiprocessing.popen_fork
    multiprocessing.popen_forkserver multiprocessing.popen_spawn_posix"""
"""Modules for other systems, or for processes: they do not import under CPython for WASI wherever it runs."""


def test_the_whole_pure_python_library_imports_but_for_what_needs_absent_c_modules(start):
    driver = start(PROBE, cpu_ms=60_000)
    names = [name for name in driver.call("names").value if not name.endswith("__main__")]
    assert len(names) > 500
    failed = driver.call("load", names).value
    assert failed.keys() >= set(FOREIGN.split())
    for name in FOREIGN.split():
        assert failed.pop(name).startswith(("ImportError", "AttributeError"))
    assert failed == {
        module: f"ModuleNotFoundError: No module named {absent!r}"
        for absent, modules in ABSENT_C_MODULES.items()
        for module in modules.split()
    }


def test_what_ought_to_be_there_is_there(start):
    driver = start(PROBE)
    names = """asyncio collections.abc csv decimal email.mime.text html.parser http.cookies ipaddress json.tool sqlite3
        tomllib unittest.mock xml.etree.ElementTree xmlrpc.client zipfile zoneinfo graphlib dataclasses statistics"""
    assert driver.call("load", names.split()).value == {}


FILES = {
    "worker.py": """
import importlib, importlib.metadata, importlib.resources, inspect, pkgutil, sys
import alone, package, package.inner, parts.one, vendored, vendored.deep
from package import VALUE
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def look(self, code):
        return eval(code)
""",
    "alone.py": "NAME = __name__\nFILE = __file__\n",
    "package/__init__.py": "from .inner import VALUE\nfrom . import inner\nPATH = __path__\n",
    "package/inner.py": "# inner\nVALUE = 1\ndef function():\n    return 1\n",
    "package/data/text.txt": "caf\u00e9",
    "parts/one.py": "ONE = 1\n",
    "parts/raw.bin": b"\x00\xff",
    "html2/page.html": "<p>",
    "wsgiref/readme.txt": "a folder with the name of a package of the library",
    "colorsys.py": "MINE = True\n",
    "python_modules/vendored/__init__.py": (
        "from importlib.resources import read_text\nDATA = read_text(__name__, 'data.txt')\n"
    ),
    "python_modules/vendored/data.txt": "vendored data",
    "python_modules/vendored/deep.py": "from . import DATA\n",
    "python_modules/vendored-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: vendored\nVersion: 1.2\n",
    "python_modules/alone.py": "raise AssertionError('the worker\\'s own module goes first')\n",
    "python_modules/csv.py": "raise AssertionError('the library goes before what is vendored')\n",
    "python_modules/parts/two.py": "TWO = 2\n",
    "latin.py": "# -*- coding: latin-1 -*-\nTEXT = '\u00e9'\n".encode("latin-1"),
}

LOOKS = {
    "alone.NAME": "alone",
    "alone.FILE": "/session/metadata/alone.py",
    "package.PATH": ["/session/metadata/package"],
    "package.inner.__package__": "package",
    "VALUE": 1,
    "parts.one.ONE": 1,
    "importlib.import_module('parts.two').TWO": 2,
    "vendored.DATA": "vendored data",
    "vendored.deep.DATA": "vendored data",
    "importlib.import_module('csv').__name__": "csv",
    "importlib.import_module('colorsys').MINE": True,
    "importlib.import_module('latin').TEXT": "\u00e9",
    "importlib.import_module('wsgiref.headers').Headers.__name__": "Headers",
    "importlib.metadata.version('vendored')": "1.2",
    "importlib.resources.files('package').joinpath('data', 'text.txt').read_text()": "caf\u00e9",
    "importlib.resources.read_text('package', 'inner.py').splitlines()[0]": "# inner",
    "importlib.resources.files('parts').joinpath('raw.bin').read_bytes()": b"\x00\xff",
    "sorted(each.name for each in importlib.resources.files('package').iterdir())": [
        "__init__.py",
        "data",
        "inner.py",
    ],
    "importlib.resources.is_resource('package', 'inner.py')": True,
    "pkgutil.get_data('package', 'data/text.txt').decode()": "caf\u00e9",
    "inspect.getsource(package.inner.function)": "def function():\n    return 1\n",
    "importlib.util.find_spec('package.inner').origin": "/session/metadata/package/inner.py",
    "importlib.util.find_spec('absent')": None,
    "'parts' in repr(sys.modules['parts'])": True,
    "importlib.reload(alone).NAME": "alone",
    "importlib.import_module('html2').__path__[0]": "/session/metadata/html2",
}


@pytest.mark.parametrize("code", LOOKS)
def test_a_tree_of_modules(start, code):
    assert start(FILES, bindings=[], memory_mb=128).call("look", code).value == LOOKS[code]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("importlib.import_module('absent')", "No module named 'absent'"),
        ("importlib.import_module('package.absent')", "No module named 'package.absent'"),
        ("importlib.import_module('alone.deeper')", "'alone' is not a package"),
        ("importlib.import_module('ssl')", "No module named '_ssl'"),
        ("importlib.import_module('ctypes')", "No module named '_ctypes'"),
        ("importlib.metadata.version('absent')", "absent"),
        ("importlib.resources.files('package').joinpath('absent').read_text()", "No such file"),
        ("importlib.resources.files('package').joinpath('x').open('w')", "Read-only"),
    ],
)
def test_what_is_absent(start, code, message):
    run = start(FILES).call("look", code)
    assert run.failure is not None
    assert message in run.failure.message


def test_python_path_tricks_do_not_lead_out(start):
    driver = start(FILES)
    found = driver.call(
        "look", "[sys.path, sys.path_hooks, [type(each).__name__ for each in sys.meta_path]]"
    ).value
    assert found[0] == ["/session/metadata", "/python", "/session/metadata/python_modules"]
    assert found[1] == []
    assert json.dumps(found[2]).count("Bundle") == 2


def test_the_library_imports_at_top_level_too_without_entropy(sandbox):
    """What a worker imports, it imports at its top level, where random numbers are refused."""
    program = """
for name in FINDER.packed:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except (ImportError, AttributeError):
            pass
"""
    assert sandbox.image(PROBE + program, startup_ms=60_000).handlers == {"": ()}
