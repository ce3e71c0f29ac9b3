"""Deploying: how a top level may fail, and what an image holds and does not hold."""

from __future__ import annotations

import os

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import (
    ImageError,
    TopLevelEntropy,
    TopLevelRaised,
    TopLevelTooBig,
    TopLevelTooSlow,
)
from pyworkerd_isolates.image import notes_of
from pyworkerd_isolates.wasm.image import image_of, memory_of

HEAD = "from workers import Response, WorkerEntrypoint\n"
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""
WORKER = HEAD + DEFAULT


# images ---------------------------------------------------------------------------------------------------------------


def test_the_same_bundle_on_the_same_engine_is_built_once(sandbox):
    source = f"# {os.urandom(8).hex()}\n{WORKER}"
    first, second = sandbox.image(source), sandbox.image(source)
    assert (first.built, second.built) == (True, False)
    assert first.name == second.name
    assert first.handlers == second.handlers == {"": ("fetch",)}
    assert first.memory_size == second.memory_size
    assert sandbox.image(source + "\n").name != first.name
    damaged = sandbox.cache.folder / "damaged.new"
    damaged.write_bytes(b"damaged")
    damaged.replace(sandbox.cache.folder / first.name)
    assert sandbox.image(source).built


def test_what_the_top_level_prints_becomes_logs(sandbox):
    image = sandbox.image(
        HEAD
        + "import logging, sys, warnings\nprint('one\\ntwo')\nlogging.warning('three')\nwarnings.warn('four')\n"
        + "print('five', file=sys.stderr, end='')\n"
        + DEFAULT
    )
    told = [(level, source, text.rpartition(": ")[2]) for level, source, text in image.logs]
    assert told == [
        ("info", "stdout", "one"),
        ("info", "stdout", "two"),
        ("warning", "root", "three"),
        ("warning", "py.warnings", "four"),
        ("error", "stderr", "five"),
    ]


def failure(sandbox, source, kind, **limits):
    with pytest.raises(kind) as caught:
        sandbox.image(source, **limits)
    assert type(caught.value) is kind
    return caught.value


def test_a_syntax_error_names_file_and_line(sandbox):
    error = failure(
        sandbox, {"worker.py": HEAD + "import helper\n", "helper.py": "x = 1\ndef f(:\n"}, TopLevelRaised
    )
    assert (error.file, error.line) == ("helper.py", 2)
    assert "SyntaxError: invalid syntax" in str(error)


def test_an_exception_names_file_and_line_and_has_the_traceback(sandbox):
    source = {"worker.py": "import helper\n", "helper.py": "def f():\n    raise KeyError('gone')\n\nf()\n"}
    error = failure(sandbox, source, TopLevelRaised)
    assert (error.file, error.line, str(error)) == ("helper.py", 2, "KeyError: 'gone'")
    assert 'helper.py", line 4' in error.detail
    assert "raise KeyError('gone')" in error.detail
    assert "_pyworkerd" not in error.detail


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.urandom(4)",
        "import random\nrandom.random()",
        "import random\nrandom.shuffle([1, 2, 3])",
        "import random\nrandom.Random()",
        "import random\nrandom.seed()",
        "import random\nrandom.SystemRandom().random()",
        "import random\nx = random.SystemRandom()\nx.random()",
        "import uuid\nuuid.uuid4()",
        "import secrets\nsecrets.token_hex()",
        "import secrets\nsecrets.choice([1, 2])",
        "import tempfile\nnext(tempfile._get_candidate_names())",
        "from posix import urandom\nurandom(4)",
        "from _random import Random\nRandom()",
        "import numbers, random\nclass Mine(random.Random): pass\nMine()",
    ],
)
def test_entropy_at_top_level_is_an_error_that_says_so(sandbox, code):
    error = failure(sandbox, f"{HEAD}{code}\n{DEFAULT}", TopLevelEntropy)
    assert "inside a handler" in str(error)


def test_entropy_whose_refusal_the_library_swallows(sandbox):
    """`uuid.uuid1` tries one way after another to find a node, and ignores why each fails."""
    failure(sandbox, f"{HEAD}import uuid\nuuid.uuid1()\n{DEFAULT}", TopLevelRaised)


def test_entropy_at_top_level_names_the_line(sandbox):
    error = failure(
        sandbox,
        {"worker.py": "import helper\n", "helper.py": "import os\nKEY = os.urandom(16)\n"},
        TopLevelEntropy,
    )
    assert (error.file, error.line) == ("helper.py", 2)


def test_a_seeded_generator_of_its_own_is_allowed_at_top_level(start):
    driver = start(f"{HEAD}import random\nMINE = random.Random(7)\n{DEFAULT}")
    assert driver.fetch().text == "hello"


def test_a_top_level_that_is_too_slow(sandbox):
    error = failure(sandbox, "while True: pass\n", TopLevelTooSlow, startup_ms=50)
    assert "limits.startup_ms" in str(error)


def test_a_destructor_that_never_ends_is_too_slow_as_well(sandbox):
    source = (
        HEAD
        + "class A:\n    def __del__(self):\n        while True: pass\na = A()\na.self = a\ndel a\n"
        + DEFAULT
    )
    failure(sandbox, source, TopLevelTooSlow, startup_ms=100)


@pytest.mark.parametrize(
    "code",
    ["x = []\nwhile True: x.append([0] * 100_000)", "x = bytearray(200 << 20)", "x = 'x' * (200 << 20)"],
)
def test_a_top_level_that_is_too_big(sandbox, code):
    error = failure(sandbox, code, TopLevelTooBig, memory_mb=64, startup_ms=20_000)
    assert "limits.memory_mb" in str(error)


def test_a_limit_that_not_even_the_engine_fits_into(sandbox):
    assert "engine" in str(failure(sandbox, WORKER, TopLevelTooBig, memory_mb=1))


def test_a_memory_full_of_small_objects_is_too_big_or_a_crash_but_never_an_image(sandbox):
    failure(
        sandbox, HEAD + "x = []\nwhile True: x.append({})\n", TopLevelTooBig, memory_mb=64, startup_ms=20_000
    )
    with pytest.raises(ImageError):
        sandbox.image(HEAD + "x = []\nwhile True: x = [x]\n", memory_mb=64, startup_ms=20_000)


def test_exit_at_top_level(sandbox):
    error = failure(sandbox, "import sys\nsys.exit(3)\n", TopLevelRaised)
    assert (str(error), error.line) == ("SystemExit: 3", 2)
    failure(sandbox, "import os\nos._exit(3)\n", TopLevelRaised)
    failure(sandbox, "import os\nos.abort()\n", TopLevelRaised)


def test_endless_recursion_at_top_level(sandbox):
    error = failure(sandbox, "def f(): f()\nf()\n", TopLevelRaised)
    assert "RecursionError" in str(error)
    assert error.line == 1


def test_an_event_loop_at_top_level_says_what_to_do(sandbox):
    error = failure(sandbox, "import asyncio\nasync def f(): pass\nasyncio.run(f())\n", TopLevelRaised)
    assert "handler" in str(error)
    assert error.line == 3


def test_env_is_empty_at_top_level(sandbox):
    error = failure(sandbox, "from workers import env\nenv.TOKEN\n", TopLevelRaised)
    assert "no binding named 'TOKEN'" in str(error)
    assert error.line == 2


def test_fetch_is_not_possible_at_top_level(sandbox):
    source = "from workers import fetch\nfetch('http://a.example/').send(None)\n"
    assert "top level" in str(failure(sandbox, source, TopLevelRaised))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "exports no entrypoint"),
        (HEAD + "class _Hidden(WorkerEntrypoint): pass\n", "exports no entrypoint"),
        (WORKER + "def on_fetch(request): pass\n", "Cannot define multiple default entrypoints"),
        ("import nothing_like_it\n", "No module named 'nothing_like_it'"),
    ],
)
def test_a_module_that_is_no_worker(sandbox, source, message):
    assert message in str(failure(sandbox, source, TopLevelRaised))


def test_a_module_of_the_bundle_that_the_library_hides_is_warned_of(sandbox):
    image = sandbox.image({"worker.py": WORKER, "json.py": ""}, "worker.py")
    assert [text for _, source, text in image.logs if source == "pyworkerd"] == [
        "json.py is hidden by the standard library's module 'json'"
    ]


# what an image holds --------------------------------------------------------------------------------------------------


def test_secrets_are_in_no_image(sandbox, tmp_path):
    marker = b"MARKER-" + os.urandom(8).hex().encode()
    secret = b"SECRET-" + os.urandom(8).hex().encode()
    (tmp_path / "package").mkdir()
    (tmp_path / "main.py").write_text(WORKER)
    (tmp_path / "package" / "data.txt").write_bytes(marker)
    for name in (".dev.vars", ".env", "package/.secret"):
        (tmp_path / name).write_bytes(b"TOKEN=" + secret)
    (tmp_path / "link.txt").symlink_to(".dev.vars")
    os.environ["PYWORKERD_TEST_SECRET"] = secret.decode()
    try:
        image = sandbox.image(Bundle.read(tmp_path / "main.py"))
    finally:
        del os.environ["PYWORKERD_TEST_SECRET"]
    native = sandbox.cache.get(image.name).path.read_bytes()
    assert marker in native
    assert secret not in native


def test_bindings_reach_an_isolate_but_not_its_image(sandbox, start):
    secret = "SECRET-" + os.urandom(8).hex()
    source = f"# {os.urandom(8).hex()}\n" + HEAD + DEFAULT.replace('"hello"', "self.env.TOKEN")
    image = sandbox.image(source)
    driver = start(image, bindings=[("TOKEN", "value", wire.dump_value(secret))])
    assert driver.fetch().text == secret
    assert secret.encode() in driver.isolate.memory()
    assert secret.encode() not in sandbox.cache.get(image.name).path.read_bytes()
    again = start(image, bindings=[("TOKEN", "value", wire.dump_value("other"))])
    assert again.fetch().text == "other"
    assert secret.encode() not in again.isolate.memory()


def test_an_image_of_webassembly_gives_its_memory_back():
    memory = bytearray(65_536)
    memory[5000:5005] = b"heap!"
    assert memory_of(image_of(memory)) == memory


# what the guest answers -----------------------------------------------------------------------------------------------

OK = ["ok", {"": ["fetch"]}, []]
BAD_ANSWERS = [
    [],
    ["ok"],
    ["ok", [], []],
    ["ok", {"": "fetch"}, []],
    ["ok", {"": [1]}, []],
    ["ok", {"x" * 257: []}, []],
    ["ok", {"": ["x" * 257]}, []],
    ["ok", {str(n): [] for n in range(1001)}, []],
    ["raised", "X"],
    ["raised", 1, "", "", None, None, []],
    ["raised", "X", "", "", 1, None, []],
    ["raised", "X", "", "", None, "1", []],
]


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_an_answer_that_the_guest_forged(answer):
    with pytest.raises(ImageError, match="broken answer"):
        notes_of(answer)


def test_what_the_guest_says_of_itself_is_bounded():
    logs = [
        ["info", "x", "y" * 100_000],
        ["short"],
        [1, 2, 3],
        ["info", "half", "\ud800"],
        *[["a", "b", "c"]] * 2000,
    ]
    notes = notes_of(["ok", {"": ["fetch"]}, {}, logs])
    assert len(notes["logs"]) <= 1000
    assert notes["logs"][0] == ["info", "x", "y" * 16_384]
    assert notes["logs"][1] == ["info", "half", "?"]
    with pytest.raises(TopLevelRaised) as caught:
        notes_of(["raised", "X" * 1000, "y" * 100_000, "z" * 100_000, "f" * 5000, -5, []])
    error = caught.value
    assert len(str(error)) < 5000
    assert (len(error.detail), len(error.file), error.line) == (65_536, 1024, None)
