"""The harness judged: what passes, fails, and never ends, is seen as that."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from . import running
from .checkout import Checkout
from .results import FILE, Result
from .run import EXPECTATIONS, main
from .running import run_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Run = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a file, with others beside it: status and message of each subtest, by name."""

    def go(
        source: str, files: Mapping[str, str] | None = None, name: str = "area/a.any.js", seconds: float = 20
    ) -> dict[str, tuple[str, str]]:
        for each, text in {name: source, **(files or {})}.items():
            path = tmp_path / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        async def results() -> list[Result]:
            checkout = Checkout(tmp_path)
            return [
                result async for result in run_cases(checkout, list(checkout.cases([name])), most_s=seconds)
            ]

        (result,) = asyncio.run(results())
        return {subtest.name: (str(subtest.status), subtest.message or "") for subtest in result.subtests}

    return go


def statuses(found: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {name: status for name, (status, _) in found.items()}


PASSING = """
assert_true(true); assert_false(false); assert_equals(NaN, NaN); assert_not_equals(0, -0);
assert_in_array(2, [1, 2]); assert_object_equals({ a: { b: 1 } }, { a: { b: 1 } });
assert_array_equals([1, NaN], [1, NaN]); assert_array_approx_equals([1.01], [1], 0.1);
assert_approx_equals(1.01, 1, 0.1); assert_less_than(1, 2); assert_greater_than(2n, 1n);
assert_between_exclusive(2, 1, 3); assert_less_than_equal(1, 1); assert_greater_than_equal(1, 1);
assert_between_inclusive(1, 1, 1); assert_regexp_match("ab", /b$/); assert_class_string([], "Array");
assert_own_property({ a: 1 }, "a"); assert_not_own_property({}, "a"); assert_inherits([], "map");
assert_idl_attribute(new Event("a"), "type"); assert_readonly(new Event("a"), "type");
assert_throws_js(TypeError, () => null.x); assert_throws_exactly(5, () => { throw 5; });
assert_throws_dom("NotFoundError", () => { throw new DOMException("", "NotFoundError"); });
assert_throws_dom("NOT_FOUND_ERR", DOMException, () => { throw new DOMException("", "NotFoundError"); });
assert_throws_dom(8, () => { throw new DOMException("", "NotFoundError"); });
assert_throws_quotaexceedederror(() => { throw new DOMException("", "QuotaExceededError"); }, null, null);
assert_any(assert_equals, 2, [1, 2]); assert_implements(true);
"""
FAILING = """
assert_true(1); assert_false(0); assert_equals("1", 1); assert_equals(0, -0); assert_not_equals(1, 1);
assert_in_array(3, [1, 2]); assert_object_equals({ a: 1 }, { a: 1, b: 2 });
assert_object_equals({ a: 1, b: 2 }, { a: 1 }); assert_object_equals({ a: { b: 1 } }, { a: { b: 2 } });
assert_array_equals([1], [1, 2]); assert_array_equals([1], [2]); assert_array_equals([,], [undefined]);
assert_array_equals(1, [1]); assert_array_approx_equals([2], [1], 0.1); assert_approx_equals(2, 1, 0.1);
assert_less_than(2, 2); assert_greater_than("3", 2); assert_between_exclusive(1, 1, 3);
assert_less_than_equal(2, 1); assert_greater_than_equal(1, 2); assert_between_inclusive(0, 1, 1);
assert_regexp_match("ab", /c/); assert_class_string([], "Map"); assert_own_property([], "map");
assert_not_own_property({ a: 1 }, "a"); assert_inherits({ a: 1 }, "a"); assert_idl_attribute(5, "type");
assert_readonly({ a: 1 }, "a"); assert_unreached("here"); assert_any(assert_equals, 3, [1, 2]);
assert_throws_js(TypeError, () => {}); assert_throws_js(TypeError, () => { throw new RangeError(); });
assert_throws_js(Error, () => { throw new TypeError(); }); assert_throws_js(Error, () => { throw "Error"; });
assert_throws_js(TypeError, () => { throw { name: "TypeError" }; });
assert_throws_exactly(5, () => { throw 6; }); assert_throws_dom("NotFoundError", () => {});
assert_throws_dom("NotFoundError", () => { throw new DOMException("", "SyntaxError"); });
assert_throws_dom("NotFoundError", () => { throw { name: "NotFoundError", code: 8 }; });
assert_throws_dom("NoSuchError", () => { throw new DOMException("", "NoSuchError"); });
assert_throws_quotaexceedederror(() => { throw new TypeError(); }, null, null); assert_implements(false);
"""


def each(lines: str) -> dict[str, str]:
    """Each call of an assertion, by itself."""
    calls = "\n".join(lines.strip().splitlines()).replace("\n", " ").split("; assert_")
    whole = [calls[0], *(f"assert_{call}" for call in calls[1:])]
    return {f"{number} {call[:40]}": call for number, call in enumerate(whole)}


def test_every_assertion_holds_and_fails(run: Run) -> None:
    passing, failing = each(PASSING), each(FAILING)
    lines = [f"test(() => {{ {call} }}, {json.dumps(name)});" for name, call in (passing | failing).items()]
    found = run("\n".join(lines))
    assert statuses(found) == {
        FILE: "OK", **dict.fromkeys(passing, "PASS"), **dict.fromkeys(failing, "FAIL"),
    }  # fmt: skip
    assert all(message.startswith(("assert_", "TypeError")) for _, message in found.values() if message)


KINDS = {
    "test(() => {}, 'T');": "PASS",
    "test(() => { throw new Error('x'); }, 'T');": "FAIL",
    "test(async () => {}, 'T');": "FAIL",
    "test((t) => { assert_implements_optional(false, 'x'); }, 'T');": "PRECONDITION_FAILED",
    "async_test((t) => { setTimeout(t.step_func_done(() => assert_true(true)), 1); }, 'T');": "PASS",
    "async_test((t) => { setTimeout(t.step_func_done(() => assert_true(false)), 1); }, 'T');": "FAIL",
    "async_test((t) => { t.step_timeout(t.unreached_func('x'), 1); }, 'T');": "FAIL",
    "const t = async_test('T'); t.step(() => {}); t.done();": "PASS",
    "async_test('T').step(() => { null.x; });": "FAIL",
    "promise_test(async () => {}, 'T');": "PASS",
    "promise_test(() => {}, 'T');": "FAIL",
    "promise_test(async () => { throw new Error('x'); }, 'T');": "FAIL",
    "promise_test((t) => promise_rejects_js(t, TypeError, Promise.reject(new TypeError())), 'T');": "PASS",
    "promise_test((t) => promise_rejects_js(t, TypeError, Promise.resolve()), 'T');": "FAIL",
    "promise_test((t) => promise_rejects_js(t, TypeError, Promise.reject(new Error())), 'T');": "FAIL",
    "promise_test((t) => promise_rejects_exactly(t, 5, Promise.reject(5)), 'T');": "PASS",
    "promise_test((t) => promise_rejects_exactly(t, 5, Promise.reject(6)), 'T');": "FAIL",
    "promise_test((t) => promise_rejects_dom(t, 'AbortError', AbortSignal.abort().reason), 'T');": "FAIL",
    "promise_test((t) => promise_rejects_dom(t, 'AbortError', Promise.reject(AbortSignal.abort().reason)), 'T');":
        "PASS",
    "promise_test((t) => t.step_wait(() => true), 'T');": "PASS",
    "promise_test((t) => t.step_wait(() => false, 'x', 10, 1), 'T');": "FAIL",
    "generate_tests(assert_equals, [['T', 1, 1]]);": "PASS",
    "generate_tests(assert_equals, [['T', 1, 2]]);": "FAIL",
    "setup({ single_test: true }); setTimeout(done, 1);": "PASS",
    "setup({ single_test: true }); assert_true(false);": "FAIL",
    "setup({ explicit_done: true }); setTimeout(() => { test(() => {}, 'T'); done(); }, 1);": "PASS",
    """promise_test(async (t) => {
      const target = new EventTarget();
      const watcher = new EventWatcher(t, target, ["a", "b"]);
      const seen = watcher.wait_for(["a", "b"]);
      target.dispatchEvent(new Event("a"));
      target.dispatchEvent(new Event("b"));
      await seen;
    }, 'T');""": "PASS",
    """promise_test(async (t) => {
      const target = new EventTarget();
      new EventWatcher(t, target, ["a"]);
      target.dispatchEvent(new Event("a"));
    }, 'T');""": "FAIL",
}  # fmt: skip


@pytest.mark.parametrize("source", KINDS)
def test_kinds_of_tests(run: Run, source: str) -> None:
    found = statuses(run(f"// META: title=T\n{source}"))
    assert found == {FILE: "OK", "T": KINDS[source]}


def test_what_never_ends_has_timed_out(run: Run) -> None:
    found = run(
        """
        async_test(() => {}, "waits");
        test(() => {}, "fine");
        promise_test(() => new Promise(() => {}), "hangs");
        promise_test(async () => {}, "behind it");
        """,
        seconds=0.2,
    )
    assert statuses(found) == {
        FILE: "TIMEOUT", "waits": "TIMEOUT", "fine": "PASS", "hangs": "TIMEOUT", "behind it": "NOTRUN",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("test(() => {", "SyntaxError"),
        ("test(() => {}, 'T'); null.x;", "TypeError"),
        ("setup(() => { throw new Error('broken'); });", "broken"),
        ("promise_setup(async () => { throw new Error('broken'); });", "broken"),
        ("test((t) => { t.add_cleanup(() => { throw new Error('broken'); }); }, 'T');", "broken"),
        ("// META: script=/resources/gone.js", "resources/gone.js"),
    ],
)
def test_a_file_that_fails_by_itself(run: Run, source: str, message: str) -> None:
    status, said = run(source)[FILE]
    assert (status, message in said) == ("ERROR", True)


def test_a_loop_ends_the_file_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LIMITS", replace(running.LIMITS, cpu_ms=100))
    status, said = run("for (;;);")[FILE]
    assert (status, said.partition(":")[0]) == ("ERROR", "ExceededCpu")


def test_order_and_cleanups(run: Run) -> None:
    found = run("""
        const seen = [];
        promise_setup(async () => { seen.push("setup"); });
        promise_test(async (t) => {
          t.add_cleanup(async () => { await null; seen.push("cleanup"); });
          seen.push("first");
        }, "first");
        test(() => { seen.push("at once"); }, "at once");
        promise_test(async (t) => {
          assert_array_equals(seen, ["at once", "setup", "first", "cleanup"]);
          const signal = t.get_signal();
          t.add_cleanup(() => { assert_true(signal.aborted); });
        }, "second");
        test(() => {}, "twice");
        test(() => {}, "twice");
    """)
    assert statuses(found) == dict.fromkeys(["first", "at once", "second", "twice", "twice (2)"], "PASS") | {
        FILE: "OK"
    }


def test_scripts_files_and_the_address(run: Run) -> None:
    source = """// META: script=../helpers/one.js
        // META: variant=?some
        "use strict";
        test(() => { assert_equals(one(), 1); assert_equals(self.two, 2); }, "helpers");
        test(() => {
          assert_equals(location.href, "http://web-platform.test:8000/area/a.any.js?some");
          assert_equals(location.search, "?some");
          assert_true(GLOBAL.isWorker());
        }, "address");
        promise_test(async () => {
          const response = await fetch("resources/x.json?pipe=header(x-piped,yes)|status(201)");
          assert_equals(response.status, 201);
          assert_equals(response.headers.get("x-beside"), "yes");
          assert_equals(response.headers.get("x-piped"), "yes");
          assert_object_equals(await response.json(), { a: 1 });
        }, "a resource");
        promise_test(async () => { assert_equals((await fetch_json("resources/x.json")).a, 1); }, "its JSON");
        promise_test(async () => { assert_equals((await fetch("gone.txt")).status, 404); }, "a missing one");
        promise_test(() => fetch("http://elsewhere.test/").then(assert_unreached, () => {}), "elsewhere");
        test(() => {
          const request = new Request("b");
          assert_equals(request.url, "http://web-platform.test:8000/area/b");
          assert_equals(request.constructor, Request);
          assert_true(request instanceof Request);
          assert_equals(new Request(request).url, request.url);
          assert_throws_js(TypeError, () => new Request());
        }, "requests");
    """.replace("\n        //", "\n//")
    files = {
        "helpers/one.js": "'use strict'; const one = () => 1; self.two = 2;",
        "area/resources/x.json": '{"a": 1}',
        "area/resources/x.json.headers": "X-Beside: yes\n",
    }
    found = run(source, files)
    assert {name: outcome for name, outcome in found.items() if outcome[0] not in ("PASS", "OK")} == {}
    assert len(found) == 8


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "area").mkdir()
    (tmp_path / "area/a.any.js").write_text("test(() => {}, 'good'); test(() => { assert_true(0); }, 'bad');")
    (tmp_path / "area/b.any.js").write_text("test(() => { throw 1; }, 'not run');")
    rows = tmp_path / "rows.toml"
    common = ["--root", str(tmp_path), "--expectations", str(rows), "area"]

    rows.write_text('[reasons]\nwhy = "So."\n[skip]\n"area/b.any.js" = "why"\n')
    assert main([*common, "--json", str(tmp_path / "out.json")]) == 1
    assert "FAIL: area/a.any.js: bad\n    assert_true" in capsys.readouterr().out
    ((own, good, bad),) = [result["subtests"] for result in json.loads((tmp_path / "out.json").read_text())]
    assert [own["status"], good["status"], bad["status"]] == ["OK", "PASS", "FAIL"]

    with rows.open("a") as file:
        file.write('[fails."area/a.any.js"]\n"bad" = "why"\n')
    assert main(common) == 0
    assert "all as expected" in capsys.readouterr().out

    with rows.open("a") as file:
        file.write('"good" = "why"\n')
    assert main(common) == 1
    assert "PASSES, delete its row (why): area/a.any.js: good" in capsys.readouterr().out

    with pytest.raises(SystemExit):
        main([*common, "nowhere"])


CHECKOUT = os.environ.get("PYWORKERD_WPT", "")


@pytest.mark.skipif(not CHECKOUT, reason="PYWORKERD_WPT names no checkout of web-platform-tests")
@pytest.mark.timeout(900)
def test_upstream(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = main(["--root", CHECKOUT, "--expectations", str(EXPECTATIONS)])
    assert outcome == 0, capsys.readouterr().out
