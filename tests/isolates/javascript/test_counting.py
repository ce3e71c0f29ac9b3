"""References are counted as before, but for those to what is in an image; another QuickJS is refused."""

from __future__ import annotations

import pytest
import wasmtime
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.javascript import counting
from pyworkerd_isolates.javascript.counting import IMMORTAL, UNCOUNTED, recount
from pyworkerd_isolates.wasm.binary import MODULE_HEADER, section, sections, vector
from pyworkerd_isolates.wasm.core import parse_module
from pyworkerd_isolates.wasm.leb import encode_unsigned

TEXT = """(module
  (memory (export "memory") 1)
  (func $slow (param i32 i64) (i32.store offset=8 (i32.const 0) (i32.wrap_i64 (local.get 1))))
  (func $give_up (export "give_up") (param i32 i64)
    (call $slow (i32.load offset=16 (local.get 0)) (local.get 1)))
  (func (export "interpret") (param i32) (result i32)
    (block $unset
      (br_if $unset (i32.eqz (i32.and
        (i32.load16_u offset=249 align=1 (i32.load offset=16 (local.get 0))) (i32.const 128))))
      (return (i32.const 1)))
    (call $give_up (local.get 0) (i64.const 0)) (call $give_up (local.get 0) (i64.const 0))
    (drop (i32.const 1000000)) (drop (i32.const 1000000)) (drop (i32.const 1000000)) (drop (i32.const 1000000))
    (i32.const 0))
  (func (export "count") (param i32) (result i32) (local i32 i64)
    COUNT
    (local.get 1)))"""
OLD = "(local.tee 1 (i32.load (local.get 0)))"
UP = "(i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))"
AT = 64


class Changed:
    """The module that `TEXT` is with this in it, as it is after `recount`."""

    def __init__(self, count: str) -> None:
        binary = bytes(wasmtime.wat2wasm(TEXT.replace("COUNT", count)))
        module = parse_module(binary)
        recount(module)
        code = vector([encode_unsigned(len(body)) + bytes(body) for body in module.bodies])
        parts = (section(number, code if number == 10 else content) for number, content in sections(binary))
        self._store = wasmtime.Store()
        made = wasmtime.Module(self._store.engine, MODULE_HEADER + b"".join(parts))
        self._exports = wasmtime.Instance(self._store, made, []).exports(self._store)

    def call(self, name: str, *arguments: int) -> int | None:
        """What a function of it answers."""
        return self._exports[name](self._store, *arguments)  # type: ignore[operator,no-any-return]

    def write(self, at: int, word: int) -> None:
        """A word of its memory."""
        self._exports["memory"].write(self._store, word.to_bytes(4, "little"), at)  # type: ignore[union-attr]

    def read(self, at: int) -> int:
        """A word of its memory."""
        return int.from_bytes(self._exports["memory"].read(self._store, at, at + 4), "little")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "step", "told"),
    [
        (UP, 1, lambda count: 0),
        (
            "(i32.store (local.tee 1 (local.get 0)) (i32.add (i32.load (local.get 1)) (i32.const 1)))",
            1,
            lambda _: AT,
        ),
        (UP.replace("(i32.const 1)", "(i32.const 2)"), 2, lambda count: 0),
        ("(i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const -1)))", -1, lambda count: 0),
        (f"(i32.store (local.get 0) (i32.add {OLD} (i32.const -1)))", -1, lambda count: count),
        (
            "(i32.store (local.get 0) (local.tee 1 (i32.add (i32.load (local.get 0)) (i32.const -1))))",
            -1,
            lambda count: count - 1,
        ),
        (
            (
                f"(block (br_if 0 (i32.le_s {OLD} (i32.const 0)))"
                " (i32.store (local.get 0) (local.tee 1 (i32.add (local.get 1) (i32.const -1)))))"
            ),
            -1,
            lambda count: count - 1,
        ),
    ],
)
@pytest.mark.parametrize("count", [1, 2, UNCOUNTED - 1, UNCOUNTED, IMMORTAL])
def test_counting(monkeypatch: pytest.MonkeyPatch, code: str, step: int, told: object, count: int) -> None:
    monkeypatch.setattr(counting, "_FEWEST", 0)
    changed = Changed(code)
    changed.write(AT, count)
    assert changed.call("count", AT) == told(count)  # type: ignore[operator]
    assert changed.read(AT) == (count if count >= UNCOUNTED else count + step)


@pytest.mark.parametrize(
    ("tag", "count", "left", "handed_on"),
    [
        (-1, 5, 4, False),
        (-9, 2, 1, False),
        (-1, 1, 1, True),
        (-1, IMMORTAL, IMMORTAL, False),
        (-10, 1, 1, False),
        (0, 1, 1, False),
        (7, 1, 1, False),
    ],
)
def test_giving_up(
    monkeypatch: pytest.MonkeyPatch, tag: int, count: int, left: int, *, handed_on: bool
) -> None:
    monkeypatch.setattr(counting, "_FEWEST", 1)
    changed = Changed(UP)
    changed.write(AT, count)
    changed.call("give_up", 0, tag << 32 | AT)
    assert (changed.read(AT), changed.read(8) == AT) == (left, handed_on)


def test_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_FEWEST", 1)
    changed = Changed(UP)
    changed.write(16, 1024)
    changed.write(1024 + 249 & ~3, 0xFFFFFFFF)
    assert changed.call("interpret", 0) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("COUNT", UP), "counts in 1 places, and asks in 1"),
        (TEXT.replace("COUNT", UP).replace("offset=249 align=1", "offset=251 align=1"), "asks in 0"),
        (TEXT.replace("COUNT", UP).replace("(call $slow (i32.load offset=16", "(call $slow (i32.load offset=20"),
         "does not give up references"),
    ],
)  # fmt: skip
def test_another_quickjs_is_refused(text: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        recount(parse_module(bytes(wasmtime.wat2wasm(text))))
