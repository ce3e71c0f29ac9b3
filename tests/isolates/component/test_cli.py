"""What surrounds a program."""

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.component.host import Exit
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import Log

from tests.isolates.component.programs import NAMES, Asker

BINDINGS = (
    ("A", "value", wire.dump_value("1")),
    ("JSON", "value", wire.dump_value({"no": "text"})),
    ("B", "value", wire.dump_value("é")),
    ("KV", "kv", 3),
)
PAIRS = [b"A", b"1", b"B", "é".encode()]


def test_texts_are_the_environment_and_the_configuration():
    asker = Asker(bindings=BINDINGS)
    asker.ask("wasi:cli/environment get-environment", 0)
    assert asker.memory.texts(0, 2) == PAIRS
    for interface in ("store", "runtime"):
        asker.ask(f"wasi:config/{interface} get-all", 0)
        assert (asker.memory.number(0, 1), asker.memory.texts(4, 2)) == (0, PAIRS)
        asker.ask(f"wasi:config/{interface} get", *asker.memory.put("A"), 0)
        assert (asker.memory.number(0, 1), asker.memory.number(4, 1), asker.memory.text(8)) == (0, 1, b"1")
        asker.ask(f"wasi:config/{interface} get", *asker.memory.put("JSON"), 0)
        assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (0, 0)
    asker.ask("wasi:cli/environment get-arguments", 0)
    assert asker.memory.texts(0) == []
    asker.ask("wasi:cli/environment initial-cwd", 0)
    assert asker.memory.number(0, 1) == 0


def test_it_prints_and_logs():
    asker = Asker()
    for name, text in (("stdout", "a\nb"), ("stderr", "c\n")):
        stream = asker.ask(f"wasi:cli/{name} get-{name}")
        asker.ask("wasi:io/streams output-stream.write", stream, *asker.memory.put(text), 0)
    asker.ask("wasi:logging/logging log", 3, *asker.memory.put("here"), *asker.memory.put("d"))
    logged = [effect for effect in asker.effects(over=True) if isinstance(effect, Log)]
    assert logged == [
        Log(1, "info", "stdout", "a"),
        Log(1, "error", "stderr", "c"),
        Log(1, "warning", "here", "d"),
        Log(1, "info", "stdout", "b"),
    ]
    with pytest.raises(Trap, match="level"):
        asker.ask("wasi:logging/logging log", 6, 0, 0, 0, 0)
    asker.ask("wasi:io/streams input-stream.read", asker.ask("wasi:cli/stdin get-stdin"), 1, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (1, 1)


def test_no_more_is_read_than_the_log_has_room_for():
    asker = Asker(meta={"log_bytes": 1000})
    for _ in range(2):
        asker.ask("wasi:logging/logging log", 3, 0, 0, 0, 1 << 19)
        assert max(asker.memory.sizes) == 1000
    assert asker.memory.sizes[-1] == 0


def test_time_stands_still():
    asker = Asker()
    asker.host.now_ns = 3_000_000_007
    assert asker.host.ask([NAMES.index("wasi:clocks/monotonic-clock now"), *[0] * 9]) == 3_000_000_007
    assert asker.ask("wasi:clocks/monotonic-clock resolution") == 1
    asker.ask("wasi:clocks/wall-clock now", 0)
    assert (asker.memory.number(0, 8), asker.memory.number(8)) == (3, 7)
    asker.ask("wasi:clocks/wall-clock resolution", 0)
    assert (asker.memory.number(0, 8), asker.memory.number(8)) == (0, 1)


@pytest.mark.parametrize(
    ("name", "value", "failed"), [("exit", 0, False), ("exit", 1, True), ("exit-with-code", 7, True)]
)
def test_it_ends(name, value, failed):
    with pytest.raises(Exit) as caught:
        Asker().ask(f"wasi:cli/exit {name}", value)
    assert caught.value.failed is failed
