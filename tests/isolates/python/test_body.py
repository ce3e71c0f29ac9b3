"""Body streams, their halves, and what a program may give as a body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from guest_workers import body as body_module
from guest_workers.blob import Blob
from guest_workers.body import BodyStream, Source, extract
from guest_workers.form_data import FormData, parse_form
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


class Chunks(Source):
    """Given chunks, each after the loop has had a turn; an exception among them is raised."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.left = list(chunks)
        self.reads = 0
        self.cancels = 0

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        if not self.left:
            return b""
        chunk = self.left.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def cancel(self) -> None:
        self.cancels += 1


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        return await main()

    return asyncio.run(inside())


chunked = st.lists(st.binary(min_size=1, max_size=8), max_size=6)


class TestStream:
    @given(chunked)
    def test_it_gives_what_its_source_gives(self, chunks: list[bytes]) -> None:
        async def main() -> None:
            assert [chunk async for chunk in BodyStream(Chunks(*chunks))] == chunks
            assert await BodyStream(Chunks(*chunks)).read() == b"".join(chunks)

        run(main)

    @given(chunked, st.lists(st.integers(1, 10)))
    def test_sizes_are_kept_and_nothing_is_lost(self, chunks: list[bytes], sizes: list[int]) -> None:
        async def main() -> None:
            stream, parts = BodyStream(Chunks(*chunks)), []
            for size in sizes:
                part = await stream.read(size)
                assert len(part) <= size
                parts.append(part)
            assert b"".join(parts) + await stream.read() == b"".join(chunks)
            assert await stream.read() == await stream.read(5) == b""

        run(main)

    @given(chunked, st.lists(st.integers(0, 12)))
    def test_exact_sizes_or_the_end(self, chunks: list[bytes], sizes: list[int]) -> None:
        async def main() -> None:
            whole, at, stream = b"".join(chunks), 0, BodyStream(Chunks(*chunks))
            for size in sizes:
                if at + size > len(whole):
                    with pytest.raises(EOFError):
                        await stream.readexactly(size)
                    break
                assert await stream.readexactly(size) == whole[at : at + size]
                at += size
            assert await stream.read() == whole[at:]

        run(main)

    def test_it_is_used_once_something_was_read(self) -> None:
        async def main() -> None:
            for stream in (BodyStream(Chunks(b"abc")), BodyStream.of(b"abc")):
                assert not stream.used
                assert await stream.read(0) == b""
                assert not stream.used
                assert await stream.read(1) == b"a"
                assert stream.used

        run(main)

    def test_an_error_is_raised_to_each_reader(self) -> None:
        async def main() -> None:
            source = Chunks(b"a", OSError("gone"), b"b")
            stream = BodyStream(source)
            assert await stream.read(1) == b"a"
            for _ in range(2):
                with pytest.raises(OSError, match="gone"):
                    await stream.read()
            assert source.reads == 2

        run(main)

    def test_two_readers_at_once_are_refused(self) -> None:
        async def main() -> None:
            stream = BodyStream(Chunks(b"a"))
            first, second = await asyncio.gather(stream.read(1), stream.read(1), return_exceptions=True)
            assert first == b"a"
            assert isinstance(second, RuntimeError)

        run(main)

    @pytest.mark.parametrize("turns", range(6))
    def test_a_cancelled_reader_loses_nothing(self, turns: int) -> None:
        async def main() -> None:
            for size in (-1, 4):
                stream = BodyStream(Chunks(b"ab", b"cd", b"ef"))
                task = asyncio.create_task(stream.read() if size < 0 else stream.readexactly(size))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                got = await asyncio.gather(task, return_exceptions=True)
                assert (got[0] if isinstance(got[0], bytes) else b"") + await stream.read() == b"abcdef"

        run(main)

    def test_the_end_is_not_asked_for_twice(self) -> None:
        async def main() -> None:
            source = Chunks(b"a")
            stream = BodyStream(source)
            assert await stream.read() == b"a"
            assert await stream.read() == b""
            assert source.reads == 2

        run(main)

    def test_closing_tells_the_source(self) -> None:
        async def main() -> None:
            source = Chunks(b"abc", b"d")
            stream = BodyStream(source)
            await stream.read(1)
            await stream.aclose()
            assert source.cancels == 1
            assert await stream.read() == b""

        run(main)


class TestTee:
    @given(chunked, st.lists(st.booleans(), max_size=20))
    def test_both_halves_get_everything_in_any_order(self, chunks: list[bytes], turns: list[bool]) -> None:
        async def main() -> None:
            halves = BodyStream(Chunks(*chunks)).tee()
            got: list[list[bytes]] = [[], []]
            for turn in turns:
                got[turn].append(await halves[turn].read(100))
            for half, parts in zip(halves, got, strict=True):
                assert b"".join(parts) + await half.read() == b"".join(chunks)

        run(main)

    @given(chunked)
    def test_both_halves_may_be_read_at_once(self, chunks: list[bytes]) -> None:
        async def main() -> None:
            source = Chunks(*chunks)
            halves = BodyStream(source).tee()
            assert await asyncio.gather(*(half.read() for half in halves)) == [b"".join(chunks)] * 2
            assert source.reads <= len(chunks) + 2

        run(main)

    def test_bytes_in_hand_are_shared(self) -> None:
        async def main() -> None:
            stream = BodyStream.of(b"abc")
            one, two = stream.tee()
            assert stream.used
            assert await one.read() == await two.read() == b"abc"

        run(main)

    def test_a_used_stream_has_no_halves(self) -> None:
        stream = BodyStream(Chunks())
        stream.tee()
        with pytest.raises(OSError, match="Body already used"):
            stream.tee()

    def test_the_faster_half_is_bounded_and_may_go_on_later(self) -> None:
        async def main() -> None:
            one, two = BodyStream(Chunks(b"abc", b"def", b"ghi")).tee(limit=5)
            assert await one.read(3) + await one.read(3) == b"abcdef"
            with pytest.raises(BufferError, match="5 bytes ahead"):
                await one.read(3)
            assert await two.read(3) == b"abc"
            with pytest.raises(BufferError):
                await one.read()
            assert await two.read() == b"defghi"
            assert await one.read() == b"ghi"

        run(main)

    def test_a_cancelled_half_holds_nobody_up(self) -> None:
        async def main() -> None:
            source = Chunks(b"abc", b"def", b"ghi")
            one, two = BodyStream(source).tee(limit=1)
            await two.aclose()
            assert await one.read() == b"abcdefghi"
            assert source.cancels == 0
            await one.aclose()
            assert source.cancels

        run(main)

    def test_an_error_reaches_both(self) -> None:
        async def main() -> None:
            one, two = BodyStream(Chunks(b"a", OSError("gone"))).tee()
            with pytest.raises(OSError, match="gone"):
                await one.read()
            assert await two.read(1) == b"a"
            with pytest.raises(OSError, match="gone"):
                await two.read()

        run(main)

    def test_a_cancelled_reader_hands_over_to_the_other(self) -> None:
        async def main() -> None:
            one, two = BodyStream(Chunks(b"a")).tee()
            first = asyncio.create_task(one.read())
            second = asyncio.create_task(two.read())
            await asyncio.sleep(0)
            first.cancel()
            assert await second == b"a"
            assert await one.read() == b"a"

        run(main)


async def numbers(closed: list[str]) -> AsyncIterator[bytes | str | bytearray]:
    try:
        yield "é"
        yield b""
        yield bytearray(b"b")
    finally:
        closed.append("async")


def letters(closed: list[str]) -> Iterator[bytes | str]:
    try:
        yield "é"
        yield ""
        yield b"b"
    finally:
        closed.append("sync")


class TestExtract:
    @pytest.mark.parametrize(
        ("given", "data", "kind"),
        [
            ("é", "é".encode(), "text/plain;charset=UTF-8"),
            ("", b"", "text/plain;charset=UTF-8"),
            (b"a", b"a", None),
            (bytearray(b"a"), b"a", None),
            (memoryview(b"abcd")[::2], b"ac", None),
            (Blob("a", "t/x"), b"a", "t/x"),
            (Blob("a"), b"a", None),
            (None, None, None),
        ],
    )
    def test_what_is_in_hand_becomes_bytes(self, given: object, data: object, kind: object) -> None:
        assert extract(given, "Response") == (data, kind)

    def test_a_form_gets_a_boundary_of_its_own(self) -> None:
        one, two = (extract(FormData({"a": "b"}), "Response") for _ in range(2))
        assert one != two
        assert parse_form(*one) == FormData({"a": "b"})

    @pytest.mark.parametrize("make", [numbers, letters])
    def test_iterators_become_streams(self, make: Any) -> None:
        async def main() -> None:
            closed: list[str] = []
            stream, kind = extract(make(closed), "Response")
            assert kind is None
            assert [chunk async for chunk in stream] == ["é".encode(), b"b"]
            closed.clear()
            stream, _ = extract(make(closed), "Response")
            assert await stream.read(1) == "é".encode()[:1]
            await stream.aclose()
            await stream.aclose()
            assert len(closed) == 1

        run(main)

    def test_iterables_without_a_length_do_too(self) -> None:
        class Sync:
            def __iter__(self) -> Iterator[str]:
                return iter(["a", "b"])

        class Async:
            def __aiter__(self) -> AsyncIterator[Any]:
                return numbers([])

        assert run(extract(Sync(), "Response")[0].read) == b"ab"
        assert run(extract(Async(), "Response")[0].read) == "éb".encode()
        assert run(extract(iter(["a", "b"]), "Response")[0].read) == b"ab"
        assert run(extract(map(str, [1, 2]), "Response")[0].read) == b"12"

    @pytest.mark.parametrize("chunk", [1, ["a"], object()])
    def test_chunks_are_bytes_or_text(self, chunk: object) -> None:
        stream, _ = extract(iter([b"a", chunk]), "Response")
        with pytest.raises(TypeError, match="has to be bytes or str"):
            run(stream.read)

    def test_a_used_stream_is_refused(self) -> None:
        stream = BodyStream.of(b"a")
        assert extract(stream, "Response") == (stream, None)
        stream.cancel()
        with pytest.raises(TypeError, match="already been read"):
            extract(stream, "Response")

    @pytest.mark.parametrize(
        "given", [1, 1.5, True, {}, {"a": 1}, [], ["a"], ("a",), {"a"}, object(), str, range(3)]
    )
    def test_anything_else_is_named(self, given: object) -> None:
        with pytest.raises(TypeError) as caught:
            extract(given, "Response")
        assert str(caught.value).startswith(f"Unsupported type in Response: {type(given).__name__}")

    def test_a_forgotten_await_is_named(self) -> None:
        coroutine = BodyStream.of(b"").read()
        with pytest.raises(
            TypeError, match="Unsupported type in Response: coroutine; write `await` before it"
        ):
            extract(coroutine, "Response")
        coroutine.close()

    def test_boundaries_are_valid(self) -> None:
        assert FormData({"a": "b"}).to_multipart(body_module.new_boundary())
