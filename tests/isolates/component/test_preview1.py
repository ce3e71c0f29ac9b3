"""WASI preview 1 for CGI programs."""

import struct

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.component.host import Exit
from pyworkerd_isolates.component.preview1 import CgiHost
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import CHUNK, Data, Done, Fail, Log, Respond, StreamRef

from tests.isolates.component.programs import Asker

OF = "wasi_snapshot_preview1 "


def asking(**request):
    return Asker(CgiHost, **request)


def buffers(asker, *texts):
    pairs = [asker.memory.put(text) for text in texts]
    return asker.memory.put(b"".join(struct.pack("<II", *pair) for pair in pairs))[0], len(pairs), pairs


def say(asker, *texts, to=1):
    at, count, _ = buffers(asker, *texts)
    return asker.ask(f"{OF}fd_write", to, at, count, 0)


def words(asker, name):
    assert asker.ask(f"{OF}{name}_sizes_get", 0, 4) == 0
    count, size = asker.memory.number(0), asker.memory.number(4)
    places, at = asker.memory.allocate(4 * count), asker.memory.allocate(size)
    assert asker.ask(f"{OF}{name}_get", places, at) == 0
    starts = [asker.memory.number(places + 4 * i) for i in range(count)]
    return [asker.memory.read(start, 1000).split(b"\0")[0].decode() for start in starts]


def test_a_client_says_nothing_that_a_binding_says():
    bindings = (("HTTP_X_A", "value", wire.dump_value("the binding's")),)
    found = words(asking(bindings=bindings, headers=(("x-a", "the client's"), ("x-b", "2"))), "environ")
    assert "HTTP_X_A=the binding's" in found
    assert "HTTP_X_B=2" in found
    assert "REQUEST_METHOD=GET" in found
    assert words(asking(), "args") == ["worker"]


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (b"body", (), ["CONTENT_LENGTH=4"]),
        (StreamRef(2, 70_000), (), ["CONTENT_LENGTH=70000"]),
        (b"body", (("content-length", "5"),), ["CONTENT_LENGTH=5"]),
        (StreamRef(2, None), (), []),
        (None, (), []),
    ],
)
def test_how_long_a_body_is_where_that_is_known(body, headers, said):
    found = words(asking(body=body, headers=headers), "environ")
    assert [each for each in found if each.startswith("CONTENT_LENGTH")] == said


def test_a_response_is_printed():
    asker = asking()
    assert say(asker, "X-A: b\n", "\nbody") == 0
    assert asker.memory.number(0) == 12
    assert say(asker, "oh\n", to=2) == 0
    assert asker.effects(over=True) == [
        Log(1, "error", "stderr", "oh"), Respond(1, 200, (("x-a", "b"),), b"body"), Done(1),
    ]  # fmt: skip


def test_no_more_is_said_at_once_than_a_chunk():
    asker = asking()
    text = b"x" * (CHUNK // 2 + 1)
    assert say(asker, text, text, text, to=2) == 0
    assert asker.memory.number(0) == CHUNK


def test_a_body_streams_and_waits():
    asker = asking()
    say(asker, "X-A: b\n\n")
    respond, *_ = asker.effects()
    assert isinstance(respond.body, StreamRef)
    sent = 0
    while say(asker, bytes(65536)) == 0:
        sent += asker.memory.number(0)
    assert sent == 262_144
    (data,) = asker.effects()
    assert isinstance(data, Data)
    events = Events()
    events.stop(data.stream)
    asker.tell(events)
    assert asker.look_again() == 64


def test_nothing_is_printed():
    fail, done = asking().effects(over=True)
    assert isinstance(fail, Fail)
    assert "without a header" in fail.message
    assert done == Done(1)


def test_standard_input_waits():
    asker = asking(body=StreamRef(9, None))
    at, count, pairs = buffers(asker, bytes(4), bytes(4))
    assert asker.ask(f"{OF}fd_read", 0, at, count, 0) is None
    events = Events()
    events.data(9, b"abcdef", True)
    asker.tell(events)
    assert asker.look_again() == 0
    assert (asker.memory.number(0), asker.memory.read(*pairs[0]), asker.memory.read(*pairs[1])) == (
        6, b"abcd", b"ef\0\0",
    )  # fmt: skip
    assert asker.ask(f"{OF}fd_read", 0, at, count, 0) == 0
    assert asker.memory.number(0) == 0


def test_descriptors():
    asker = asking()
    assert asker.ask(f"{OF}fd_read", 3, 0, 0, 0) == 8
    assert asker.ask(f"{OF}fd_write", 0, 0, 0, 0) == 8
    for name in ("fd_fdstat_get", "fd_filestat_get"):
        assert [asker.ask(f"{OF}{name}", descriptor, 0) for descriptor in (0, 2, 3)] == [0, 0, 8]
    assert [asker.ask(f"{OF}fd_close", descriptor) for descriptor in (0, 3)] == [0, 8]
    for name in ("fd_seek", "fd_tell", "fd_pread", "fd_pwrite"):
        assert [asker.ask(f"{OF}{name}", descriptor) for descriptor in (0, 1, 3)] == [70, 70, 8]
    with pytest.raises(Trap, match="buffers"):
        asker.ask(f"{OF}fd_write", 1, 0, 1 << 20, 0)


def test_clocks():
    asker = asking()
    asker.host.now_ns = 77
    assert [asker.ask(f"{OF}clock_time_get", clock, 0, 0) for clock in (0, 1, 2)] == [0, 0, 28]
    assert asker.memory.number(0, 8) == 77
    assert [asker.ask(f"{OF}clock_res_get", clock, 0) for clock in (0, 1, 2)] == [0, 0, 28]


def test_poll():
    asker = asking(body=StreamRef(9, None))
    subscriptions = [
        struct.pack("<QB7xI4xQQH6x", 1, 0, 1, 5_000_000_000, 0, 0),
        struct.pack("<QB7xI4xQQH6x", 2, 1, 0, 0, 0, 0),
    ]
    at, _ = asker.memory.put(b"".join(subscriptions))
    to = asker.memory.allocate(64)
    assert asker.ask(f"{OF}poll_oneoff", at, to, 2, 0) is None
    assert asker.host.output(over=False).wake.time == 5
    events = Events()
    events.data(9, b"x", False)
    asker.tell(events)
    assert asker.look_again() == 0
    assert (asker.memory.number(0), asker.memory.number(to, 8), asker.memory.number(to + 10, 1)) == (1, 2, 1)
    assert asker.ask(f"{OF}poll_oneoff", at, to, 0, 0) == 28
    out = struct.pack("<QB7xI4xQQH6x", 3, 2, 1, 0, 0, 0)
    assert asker.ask(f"{OF}poll_oneoff", asker.memory.put(out)[0], to, 1, 0) == 0


def test_it_ends():
    with pytest.raises(Exit):
        asking().ask(f"{OF}proc_exit", 3)
