"""Bodies that stream, both ways: in order, whole, and never further ahead than their window."""

from __future__ import annotations

import hashlib

import pytest
from pyworkerd_isolates.protocol import WINDOW, StreamRef
from pyworkerd_isolates.testing import LATER, Reply

WORKER = """
import asyncio, hashlib
from workers import Response, WorkerEntrypoint, fetch

SENT = []

async def counted(chunks, size):
    try:
        for n in range(chunks):
            SENT.append(n)
            yield bytes([n % 256]) * size
    finally:
        SENT.append("closed")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await getattr(self, "on_" + request.url.rsplit("/", 1)[1])(request)

    async def on_text(self, request):
        return Response((await request.text()).upper())

    async def on_size(self, request):
        digest, size = hashlib.sha256(), 0
        async for chunk in request.body:
            digest.update(chunk)
            size += len(chunk)
        return Response.json([size, digest.hexdigest()])

    async def on_ignore(self, request):
        return Response("ignored")

    async def on_some(self, request):
        first = await request.body.read(10)
        return Response(first)

    async def on_stop(self, request):
        first = await request.body.read(10)
        await request.body.aclose()
        return Response(first)

    async def on_hold(self, request):
        first = await request.body.read(1)
        await self.env.CALL()
        return Response(first + await request.body.read())

    async def on_back(self, request):
        return Response(request.body)

    async def on_changed(self, request):
        async def changed():
            async for chunk in request.body:
                yield chunk.upper()
        return Response(changed())

    async def on_large(self, request):
        return Response(b"x" * 1_000_000)

    async def on_count(self, request):
        return Response(counted(100, 50_000))

    async def on_text_chunks(self, request):
        return Response(iter(["caf", "\\u00e9", b"!"]))

    async def on_fails(self, request):
        async def chunks():
            yield b"first"
            raise ValueError("midway")
        return Response(chunks())

    async def on_wrong(self, request):
        return Response(iter([b"first", 7]))

    async def on_slow(self, request):
        async def chunks():
            for n in range(3):
                await asyncio.sleep(1)
                yield b"%d" % n
        return Response(chunks())

    async def on_upload(self, request):
        answer = await fetch("http://up.example/", method="POST", body=counted(40, 50_000))
        return Response(answer.body)

    async def on_download(self, request):
        answer = await fetch("http://down.example/")
        size = 0
        async for chunk in answer.body:
            size += len(chunk)
        return Response(str(size))

    async def on_unread(self, request):
        answer = await fetch("http://down.example/")
        return Response(str(answer.status))

    async def on_late(self, request):
        try:
            async with asyncio.timeout(1):
                await fetch("http://down.example/")
        except TimeoutError:
            return Response("timeout")

    async def on_twice(self, request):
        await request.text()
        return Response(await request.text())

    async def on_readers(self, request):
        results = await asyncio.gather(request.body.read(), request.body.read(), return_exceptions=True)
        return Response.json([str(each) for each in results if isinstance(each, Exception)])

    async def on_keep(self, request):
        global kept
        kept = (await fetch("http://down.example/")).body
        await self.env.CALL()
        return Response("kept")

    async def on_kept(self, request):
        return Response(await kept.read())

    async def on_both(self, request):
        reading = asyncio.ensure_future(kept.read())
        await asyncio.sleep(0)
        await kept.aclose()
        return Response(await reading)

    async def sent(self):
        return SENT

    async def open(self):
        from _pyworkerd import streams, calls
        return [len(streams._inbound), len(streams._outbound), len(calls.pending)]
"""

URL = "http://test.invalid/"
NOTHING_LEFT = [0, 0, 0]


def chunks(count, size, taken=None):
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield bytes([number % 256]) * size


def digest(count, size):
    return hashlib.sha256(b"".join(chunks(count, size))).hexdigest()


@pytest.fixture
def driver(start):
    opened = start(WORKER, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    yield opened
    if opened.isolate.state.value != "dead":
        assert opened.call("open").value == NOTHING_LEFT
        assert opened.streams == ()


@pytest.mark.parametrize("body", [b"hello", [b"hel", b"lo"], [b"", b"hello", b""]])
def test_a_request_body_in_one_or_in_pieces(driver, body):
    assert driver.fetch(URL + "text", method="POST", body=body).text == "HELLO"


def test_an_empty_stream(driver):
    assert driver.fetch(URL + "text", method="POST", body=[]).text == ""


def test_ten_megabytes_come_in(driver):
    run = driver.fetch(URL + "size", method="POST", body=chunks(200, 50_000))
    assert run.json == [10_000_000, digest(200, 50_000)]


def test_a_chunk_larger_than_the_window_comes_in(driver):
    run = driver.fetch(URL + "size", method="POST", body=[b"x" * (3 * WINDOW + 1)])
    assert run.json[0] == 3 * WINDOW + 1


def test_a_body_is_read_from_its_source_only_as_fast_as_the_guest_reads(driver):
    taken = []
    run = driver.fetch(URL + "hold", method="POST", body=chunks(100, 50_000, taken))
    assert not run.done
    assert len(taken) <= WINDOW // 50_000 + 1
    driver.resolve(next(iter(driver.calls)), None)
    driver.settle()
    assert len(run.checked().body) == 100 * 50_000


def test_nothing_is_sent_that_nobody_asked_for(driver):
    taken = []
    assert driver.fetch(URL + "ignore", method="POST", body=chunks(100, 50_000, taken)).text == "ignored"
    assert taken == []


@pytest.mark.parametrize("path", ["some", "stop", "ignore"])
def test_what_is_left_of_a_body_is_stopped_when_its_invocation_ends(driver, path):
    taken = []
    run = driver.fetch(URL + path, method="POST", body=chunks(100, 50_000, taken))
    assert run.done
    assert driver._feeds == {}
    assert len(taken) <= WINDOW // 50_000 + 1


def test_a_body_that_breaks_off_raises(driver):
    run = driver.begin(URL + "text", method="POST", body=[b"some"])
    driver.events.error(1, "the client went away")
    driver.settle()
    assert run.failure.type_name == "StreamError"
    assert "the client went away" in run.failure.message


def test_a_body_can_be_read_once(driver):
    failure = driver.fetch(URL + "twice", method="POST", body=[b"x"]).failure
    assert failure.message == "Body already used"


def test_two_readers_at_once_are_refused(driver):
    run = driver.fetch(URL + "readers", method="POST", body=[b"x"])
    assert run.json == ["two readers wait for the same body"]


def test_a_body_that_is_handed_back_untouched_does_not_pass_through_the_guest(driver):
    run = driver.fetch(URL + "back", method="POST", body=chunks(20, 100_000))
    assert run.body == b"".join(chunks(20, 100_000))
    assert driver.isolate.steps == 1


def test_a_body_that_is_changed_on_its_way_back(driver):
    run = driver.fetch(URL + "changed", method="POST", body=[b"abc"] * 1000)
    assert run.body == b"ABC" * 1000


def test_large_bytes_are_sent_in_pieces_with_their_length(driver):
    assert driver.fetch(URL + "large").body == b"x" * 1_000_000


def test_a_response_waits_for_its_reader(driver):
    driver.autopull = False
    run = driver.fetch(URL + "count")
    assert run.status == 200
    assert len(run.body) == WINDOW
    assert not run.done
    (stream,) = driver.streams
    while not run.done:
        before = len(run.body)
        driver.pull(stream)
        driver.settle()
        assert len(run.body) - before <= WINDOW
    assert run.complete
    assert len(run.body) == 100 * 50_000
    assert driver.call("sent").value == [*range(100), "closed"]


def test_a_response_whose_reader_goes_away_is_closed(driver):
    driver.autopull = False
    run = driver.fetch(URL + "count")
    driver.stop(*driver.streams)
    driver.settle()
    assert run.done
    sent = driver.call("sent").value
    assert sent[-1] == "closed"
    assert len(sent) < 10


def test_text_and_bytes_may_be_mixed(driver):
    assert driver.fetch(URL + "text_chunks").text == "caf\u00e9!"


@pytest.mark.parametrize(("path", "error"), [("fails", "ValueError: midway"), ("wrong", "TypeError")])
def test_a_response_that_fails_midway_is_broken_off_and_logged(driver, path, error):
    run = driver.fetch(URL + path)
    assert (run.status, bytes(run.body), run.complete) == (200, b"first", False)
    assert run.broken == "the worker failed while it wrote this body"
    assert run.done
    assert any(error in log.message and log.level == "error" for log in run.logs)


def test_a_response_may_take_its_time(driver):
    assert driver.fetch(URL + "slow").text == "012"


def test_an_upload_waits_for_its_reader(driver):
    driver.autopull = False
    run = driver.fetch(URL + "upload")
    ((number, upload),) = driver.uploads.items()
    assert len(upload.body) == WINDOW
    (stream,) = driver.streams
    while not upload.complete:
        driver.pull(stream)
        driver.settle()
    driver.resolve(number, Reply(200, (), b"thanks"))
    driver.settle()
    assert run.text == "thanks"
    assert len(upload.body) == 40 * 50_000


def test_a_download_is_read_to_its_end(driver):
    driver.answer = lambda _: Reply(200, (), chunks(100, 30_000))
    assert driver.fetch(URL + "download").text == str(100 * 30_000)


def test_a_download_that_nobody_reads_is_stopped(driver):
    taken = []
    driver.answer = lambda _: Reply(204, (), chunks(100, 30_000, taken))
    assert driver.fetch(URL + "unread").text == "204"
    assert taken == []
    assert driver._feeds == {}


def test_an_answer_that_comes_after_its_caller_gave_up_is_stopped(driver):
    run = driver.fetch(URL + "late")
    assert run.text == "timeout"
    (number,) = driver.abandoned
    driver.events.resolve_response(number, 200, (), driver.body(chunks(10, 10)), "")
    driver.settle()
    assert driver._feeds == {}


def test_events_for_streams_that_are_gone_are_ignored(driver):
    driver.fetch(URL + "text", method="POST", body=[b"x"])
    driver.events.data(1, b"more", False)
    driver.events.data(77, b"more", True)
    driver.events.error(77, "gone")
    driver.events.pull(77, 100)
    driver.events.stop(77)
    driver.settle()
    assert driver.fetch(URL + "ignore").text == "ignored"


def keep(driver):
    """A request that waits, and whose body, of which nothing has come, others can read."""
    run = driver.begin(URL + "keep")
    driver.settle()
    driver.calls.pop(1)
    driver.events.resolve_response(1, 200, (), StreamRef(9, None), "")
    driver.settle()
    return run


def go_on(driver, run):
    driver.resolve(2, None)
    driver.settle()
    assert run.text == "kept"


@pytest.mark.parametrize("waits", [True, False])
def test_a_body_that_is_kept_past_its_invocation_raises(driver, waits):
    first = keep(driver)
    if not waits:
        go_on(driver, first)
    run = driver.fetch(URL + "kept")
    if waits:
        assert not run.done
        go_on(driver, first)
    assert (run.failure.type_name, run.done) == ("StreamError", True)
    assert "a request that is over" in run.failure.message


def test_a_body_that_has_come_can_be_kept(driver):
    first = keep(driver)
    run = driver.begin(URL + "kept")
    driver.settle()
    driver.events.data(9, b"all", True)
    driver.settle()
    assert run.text == "all"
    go_on(driver, first)


def test_who_waits_for_a_body_that_another_gives_up_has_its_end(driver):
    first = keep(driver)
    assert driver.fetch(URL + "both").text == ""
    go_on(driver, first)
