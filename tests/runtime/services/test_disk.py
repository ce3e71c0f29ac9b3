"""A folder as a service: what it answers, what it hides, and that nothing leads out of it."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import NoSuchMethod, StorageError, StorageFull
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.disk import DiskService, path_of
from pyworkerd.storage import tree
from pyworkerd.storage.lane import Lane
from pyworkerd.storage.threads import Threads
from pyworkerd_config.model import Disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with things in it, beside a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "public"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a.txt").write_text("0123456789")
    (root / "sub" / "b \N{SNOWMAN}.txt").write_text("b")
    (root / ".hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("config")
    (root / "link").symlink_to("a.txt")
    (root / "out").symlink_to(tmp_path)
    (root / "away").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(root / "pipe")
    os.utime(root / "a.txt", (784111777, 784111777))
    return root


def serve(
    folder: Path, work: Callable[[Callable[..., Awaitable[Response]]], Awaitable[Any]], **options: Any
) -> Any:
    async def main() -> Any:
        threads = Threads()
        service = DiskService("files", Disk(folder, **options), Lane(threads, "disk 'files'"))

        async def ask(method: str, path: str, body: Any = b"", **headers: str) -> Response:
            given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
            content = Body(body) if isinstance(body, bytes) else Body(chunks=body)
            return await service.fetch(Request(method, f"http://disk{path}", given, content))

        try:
            return await work(ask)
        finally:
            await service.aclose()
            await asyncio.to_thread(threads.close)

    return asyncio.run(main())


def answers(folder: Path, asked: list[tuple[Any, ...]], **options: Any) -> list[tuple[int, bytes]]:
    async def work(ask: Any) -> list[tuple[int, bytes]]:
        found = []
        for each in asked:
            response = await ask(*each)
            found.append((response.status, await response.read()))
        return found

    return serve(folder, work, **options)  # type: ignore[no-any-return]


def test_files(folder: Path) -> None:
    async def work(ask: Any) -> None:
        response = await ask("GET", "/a.txt?query")
        assert (response.status, response.body.length, await response.read()) == (200, 10, b"0123456789")
        headers = (
            ("content-type", "application/octet-stream"),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        )
        assert response.headers == headers
        response = await ask("HEAD", "//a.txt")
        assert (response.status, response.headers) == (200, (*headers, ("content-length", "10")))
        assert await response.read() == b""
        assert await (await ask("GET", "/sub/b%20%E2%98%83.txt")).read() == b"b"

    serve(folder, work)


@pytest.mark.parametrize(
    ("asked", "status", "body", "shown"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
    ],
)
def test_ranges(folder: Path, asked: str, status: int, body: bytes, shown: str | None) -> None:
    async def work(ask: Any) -> None:
        response = await ask("GET", "/a.txt", range=asked)
        assert (response.status, response.header("content-range"), await response.read()) == (
            status,
            shown,
            body,
        )

    serve(folder, work)


def test_folders(folder: Path) -> None:
    async def work(ask: Any) -> None:
        response = await ask("GET", "/")
        assert response.header("content-type") == "application/json"
        assert {each["name"]: each["type"] for each in await response.json()} == {
            "a.txt": "file",
            "away": "symlink",
            "link": "symlink",
            "out": "symlink",
            "pipe": "namedPipe",
            "sub": "directory",
        }
        assert await (await ask("GET", "/sub/empty/")).json() == []
        assert (await ask("HEAD", "/sub")).status == 200

    serve(folder, work)


NOT_THERE = (
    *("/nothing", "/.hidden", "/.git/config", "/sub/../a.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"),
    *("/out/secret.txt", "/a.txt/x", "/a%00.txt", "/%ff", "/%ed%a0%80", "/" + "x" * 300, "/./a.txt"),
)


@pytest.mark.parametrize("path", NOT_THERE)
def test_what_is_not_there(folder: Path, path: str) -> None:
    assert answers(folder, [("GET", path), ("HEAD", path)]) == [(404, b"Not Found")] * 2


def test_what_is_neither_file_nor_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(folder)
        listening.bind("sock")
        for path in ("/link", "/away", "/out", "/pipe", "/sock"):
            assert answers(folder, [("GET", path)]) == [(406, b"Not Acceptable")]


def test_a_link_that_comes_after_the_look_is_not_followed(folder: Path) -> None:
    found = tree.Tree(folder)
    assert found.open(("link",)) is None
    assert found.open(("out", "secret.txt")) is None
    assert found.open(("pipe",)) is None
    assert found.open(("sub",)) is None
    entry, descriptor = found.open(("a.txt",)) or (None, -1)
    assert entry is not None
    os.close(descriptor)


def test_dotfiles_where_they_are_allowed(folder: Path) -> None:
    asked = [("GET", "/.hidden"), ("GET", "/.git/config"), ("GET", "/../secret.txt"), ("GET", "/.")]
    assert [status for status, _ in answers(folder, asked, allow_dotfiles=True)] == [200, 200, 404, 404]


def test_nothing_is_written_where_it_is_not_allowed(folder: Path) -> None:
    asked = [("PUT", "/a.txt", b"x"), ("DELETE", "/a.txt"), ("POST", "/a.txt"), ("GET", "/a.txt")]
    assert [status for status, _ in answers(folder, asked)] == [405, 405, 501, 200]
    assert (folder / "a.txt").read_text() == "0123456789"


def test_writing(folder: Path, tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    asked = [
        ("PUT", "/a.txt", b"new"),
        ("PUT", "/x/y/z.bin", chunks()),
        ("PUT", "/empty", b""),
        ("PUT", "/sub", b"no"),
        ("PUT", "/", b"no"),
        ("PUT", "/../up.txt", b"no"),
        ("PUT", "/.dot", b"no"),
        ("PUT", "/link", b"instead of the link"),
        ("DELETE", "/sub"),
        ("DELETE", "/sub/empty"),
        ("DELETE", "/away"),
        ("DELETE", "/nothing"),
        ("DELETE", "/.hidden"),
    ]
    statuses = [status for status, _ in answers(folder, asked, writable=True)]
    assert statuses == [204, 204, 204, 409, 403, 403, 403, 204, 409, 204, 204, 404, 403]
    assert (folder / "a.txt").read_text() == "new"
    assert (folder / "x/y/z.bin").stat().st_size == 1_000_000
    assert (folder / "empty").read_bytes() == b""
    assert (folder / "link").read_text() == "instead of the link"
    assert (tmp_path / "secret.txt").read_text() == "secret"
    assert not list(folder.rglob("*.pyworkerd"))


def test_nothing_is_written_through_a_link(folder: Path, tmp_path: Path) -> None:
    async def work(ask: Any) -> None:
        for path in ("/out/planted.txt", "/a.txt/planted.txt", "/" + "x" * 300):
            assert (await ask("PUT", path, b"x")).status == 409
        assert (await ask("DELETE", "/out/secret.txt")).status == 404

    serve(folder, work, writable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "secret.txt"]


def test_a_body_that_breaks_off_changes_nothing(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise StorageError("gone")

    async def work(ask: Any) -> None:
        with pytest.raises(StorageError, match="gone"):
            await ask("PUT", "/a.txt", broken())

    serve(folder, work, writable=True)
    assert (folder / "a.txt").read_text() == "0123456789"
    assert not list(folder.glob(".*.pyworkerd"))


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "disk_free", lambda _: 0)

    async def work(ask: Any) -> None:
        with pytest.raises(StorageFull):
            await ask("PUT", "/a.txt", b"x")

    serve(folder, work, writable=True)
    assert (folder / "a.txt").read_text() == "0123456789"


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert answers(tmp_path / "nothing", [("GET", "/"), ("GET", "/x")]) == [(404, b"Not Found")] * 2


def test_folders_are_listed_up_to_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 3)

    async def work(ask: Any) -> None:
        with pytest.raises(StorageError, match="more than 3"):
            await ask("GET", "/")

    serve(folder, work)


def test_it_has_no_methods(tmp_path: Path) -> None:
    async def main() -> None:
        threads = Threads()
        service = DiskService("files", Disk(tmp_path), Lane(threads, "x"))
        with pytest.raises(NoSuchMethod):
            await service.call("get", b"")
        await asyncio.to_thread(threads.close)

    asyncio.run(main())


def test_paths() -> None:
    assert path_of("http://x/a//b/?q#f", dotfiles=False) == ("a", "b")
    assert path_of("http://x", dotfiles=False) == ()
    assert path_of("http://x/a%2Fb", dotfiles=True) is None
    assert path_of("http://x/.a", dotfiles=True) == (".a",)
