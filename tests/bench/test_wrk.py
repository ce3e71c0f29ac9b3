from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_bench import wrk
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.load import Load
from pyworkerd_bench.locate import BUILD, PROGRAMS, find, missing
from pyworkerd_bench.shapes import SHAPES, Shape

from tests.bench.servers import SHAPED, server

if TYPE_CHECKING:
    from pathlib import Path


def test_the_script_holds_the_whole_shape() -> None:
    text = wrk.script(SHAPES["tenants"])
    assert text.startswith('local paths, requests, turn = {"/t0", "/t1", ')
    assert 'wrk.method = "GET"' in text
    text = wrk.script(SHAPES["json"])
    assert 'wrk.method = "POST"' in text
    assert 'wrk.headers["Content-Type"] = "application/json"' in text
    assert (SHAPES["json"].body or b"").decode() in text


@given(st.text(alphabet="]=[ax\n", max_size=50))
def test_a_body_cannot_end_its_own_quotation(text: str) -> None:
    written = wrk.script(Shape(("/",), b"", text.encode(), "text/plain"))
    opening = written[written.index("wrk.body = ") + len("wrk.body = ") :]
    level = opening[1 : opening.index("[", 1)]
    assert opening.startswith(f"[{level}[\n{text}]{level}]\n")
    assert f"]{level}]" not in text


def test_what_the_script_wrote_last_counts() -> None:
    assert wrk.parse('Running\n\n{"answers": 10, "microseconds": 2000000, "refused": 0}\n', "") == Load(
        10, 2, 0
    )


@pytest.mark.parametrize(
    "out", ["", "Running", '{"answers": 1}', "[]", '{"answers": "x", "microseconds": 1}']
)
def test_anything_else_is_an_error(out: str) -> None:
    with pytest.raises(BenchError, match="wrk failed: unable to connect"):
        wrk.parse(out, "unable to connect")


def test_failed_requests_are_an_error() -> None:
    with pytest.raises(BenchError, match="3 requests under load failed"):
        wrk.parse('{"answers": 10, "microseconds": 2000000, "refused": 3}', "")


def test_only_an_unpacked_program_is_given_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    library = BUILD.absolute() / "wrk/usr/lib/some-linux/libluajit-5.1.so.2"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    unpacked = BUILD.absolute() / "wrk/usr/bin/wrk"
    assert wrk.environment(unpacked, {"A": "b"}) == {"A": "b", "LD_LIBRARY_PATH": str(library.parent)}
    assert wrk.environment(tmp_path / "bin/wrk", {"A": "b"}) == {"A": "b"}


def test_a_program_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot run wrk"):
        wrk.load(tmp_path / "nothing", 1, SHAPES["hello"], seconds=1)


@pytest.mark.skipif(find(PROGRAMS["wrk"]) is None, reason=missing(PROGRAMS["wrk"]))
def test_a_server_is_loaded_for_real() -> None:
    program = find(PROGRAMS["wrk"])
    assert program is not None
    with server(SHAPED) as place:
        load_everything(program, place.port)


def load_everything(program: Path, port: int) -> None:
    assert wrk.load(program, port, Shape(("/a", "/a"), b"a"), seconds=1).answers > 0
    assert wrk.load(program, port, Shape(("/x",), b"", b"]]x", "text/plain"), seconds=1).answers > 0
    with pytest.raises(BenchError, match=r"failed or were not answered 2xx"):
        wrk.load(program, port, Shape(("/b",), b""), seconds=1)
