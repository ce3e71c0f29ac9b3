"""Files of a site as a service, and in front of a worker."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import NoSuchMethod
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.assets import service as module
from pyworkerd.services.assets.service import CACHE, AssetsService
from pyworkerd.storage.lane import Lane
from pyworkerd.storage.threads import Threads
from pyworkerd_config.model import Assets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

LARGE = bytes(range(256)) * 1000


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site, beside a secret."""
    (tmp_path / "secret.html").write_text("secret")
    root = tmp_path / "public"
    for folder in ("docs", ".well-known", ".git"):
        (root / folder).mkdir(parents=True)
    for name, text in {
        "index.html": "home",
        "about.html": "about",
        "404.html": "lost",
        "docs/index.html": "docs",
        "docs/a b.txt": "ab",
        "_headers": "/about\n  x-about: yes\n  ! etag\n/docs/*\n  x-docs: :splat\n",
        "_redirects": "/old /about 301\n/go/* https://example.com/:splat\n/alias /about.html 200\n",
        ".well-known/security.txt": "mail us",
        ".git/config": "secret",
        ".env": "secret",
    }.items():
        (root / name).write_text(text)
    (root / "large.bin").write_bytes(LARGE)
    (root / "out").symlink_to(tmp_path)
    os.utime(root / "index.html", ns=(0, 255))
    return root


def serve(site: Path, work: Callable[[Any, AssetsService], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        threads = Threads()
        service = AssetsService("shop's assets", Assets(site, **options), Lane(threads, "assets"))

        async def ask(
            path: str, method: str = "GET", *, front: bool = False, **headers: str
        ) -> Response | None:
            given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
            request = Request(method, f"http://shop.example{path}", given, Body())
            return await (service.before(request) if front else service.fetch(request))

        try:
            return await work(ask, service)
        finally:
            await service.aclose()
            await asyncio.to_thread(threads.close)

    return asyncio.run(main())


def statuses(site: Path, paths: list[str], **options: Any) -> list[tuple[int, str]]:
    async def work(ask: Any, service: AssetsService) -> list[tuple[int, str]]:
        answers = [await ask(path) for path in paths]
        return [(each.status, each.header("location") or await each.text()) for each in answers]

    return serve(site, work, **options)  # type: ignore[no-any-return]


def test_pages_and_where_they_have_moved(site: Path) -> None:
    paths = ["/", "/about", "/about.html?q=1", "/docs", "/docs/", "/docs/a%20b.txt", "/nothing"]
    assert statuses(site, paths) == [
        (200, "home"),
        (200, "about"),
        (307, "/about?q=1"),
        (307, "/docs/"),
        (200, "docs"),
        (200, "ab"),
        (404, ""),
    ]


def test_redirects(site: Path) -> None:
    assert statuses(site, ["/old?a", "/go/a/b", "/alias", "/go/%0d%0ax"]) == [
        (301, "/about?a"),
        (302, "https://example.com/a/b"),
        (307, "/about"),
        (302, "https://example.com/%0d%0ax"),
    ]


def test_headers(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        home = await ask("/")
        assert home.headers == (
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", CACHE),
            ("etag", '"ff-4"'),
        )
        about = await ask("/about")
        assert (about.header("x-about"), about.header("etag")) == ("yes", None)
        assert (await ask("/docs/")).header("x-docs") == ""
        head = await ask("/", "HEAD")
        assert (head.status, head.header("content-length"), await head.read()) == (200, "4", b"")

    serve(site, work)


def test_conditions_and_ranges(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        for tag in ('"ff-4"', 'W/"ff-4"', '"x", "ff-4"', "*"):
            answer = await ask("/", if_none_match=tag)
            assert (answer.status, answer.header("etag"), await answer.read()) == (304, '"ff-4"', b"")
        assert (await ask("/", if_none_match='"other"')).status == 200
        large = await ask("/large.bin")
        assert (large.body.length, await large.read()) == (len(LARGE), LARGE)
        etag = large.header("etag")
        assert await (await ask("/", range="bytes=1-2")).read() == b"om"
        assert (await ask("/", range="bytes=9-")).status == 416
        part = await ask("/large.bin", range="bytes=1000-1999")
        assert (part.status, await part.read()) == (206, LARGE[1000:2000])
        assert part.header("content-range") == f"bytes 1000-1999/{len(LARGE)}"
        assert (await ask("/large.bin", range="bytes=0-1", if_range=etag)).status == 206
        whole = await ask("/large.bin", range="bytes=0-1", if_range='"old"')
        assert (whole.status, await whole.read()) == (200, LARGE)
        assert (await ask("/large.bin", range=f"bytes={len(LARGE)}-")).status == 416

    serve(site, work)


HIDDEN = ["/_headers", "/_redirects", "/.env", "/.git/config", "/out/secret.html", "/out/secret", "/../secret.html",
    "/%2e%2e/secret.html", "/docs%2findex.html", "/%ff", "/a%00", "//about", "/docs//a%20b.txt"]  # fmt: skip


@pytest.mark.parametrize("path", HIDDEN)
def test_what_is_hidden(site: Path, path: str) -> None:
    assert statuses(site, [path]) == [(404, "")]


def test_what_is_well_known(site: Path) -> None:
    assert statuses(site, ["/.well-known/security.txt"]) == [(200, "mail us")]


def test_what_is_not_found(site: Path) -> None:
    assert statuses(site, ["/x/y", "/%ff"], not_found_handling="404-page") == [(404, "lost"), (404, "")]
    assert statuses(site, ["/x/y"], not_found_handling="single-page-application") == [(200, "home")]


def test_in_front_of_a_worker(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        found = await ask("/about", front=True)
        assert await found.text() == "about"
        assert (await ask("/old", front=True)).status == 301
        for path in ("/api/x", "/%ff", "/.env"):
            assert await ask(path, front=True) is None
        refused = await ask("/about", "POST", front=True)
        assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
        assert await ask("/api/x", "POST", front=True) is None
        lost = await ask("/api/x", front=True, sec_fetch_mode="navigate")
        assert (lost.status, await lost.text()) == (404, "lost")

    serve(site, work, not_found_handling="404-page")


def test_a_browser_that_navigates_may_find_nothing_either(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        assert await ask("/api/x", front=True, sec_fetch_mode="navigate") is None

    serve(site, work)


def test_the_worker_first(site: Path) -> None:
    async def always(ask: Any, service: AssetsService) -> None:
        assert await ask("/about", front=True) is None

    serve(site, always, run_worker_first=True)

    async def some(ask: Any, service: AssetsService) -> None:
        assert await ask("/docs/", front=True) is None
        assert (await ask("/docs/a%20b.txt", front=True)).status == 200
        assert (await ask("/docs/a", front=True)).status == 404
        assert (await ask("/about", front=True)).status == 200

    serve(site, some, run_worker_first=("/docs/*", "!/docs/a*"))


def later(service: AssetsService) -> None:
    """What was seen is not believed any more."""
    service._looked -= service._lasts
    for name, file in service._small.items():
        service._small[name] = file._replace(until=file.until - 1)


def test_files_that_change_are_seen_within_a_second(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        assert (await ask("/old")).status == 301
        (site / "_redirects").write_text("/older /about 308\n")
        assert (await ask("/older")).status == 404
        later(service)
        assert [(await ask(path)).status for path in ("/old", "/older")] == [404, 308]
        (site / "_redirects").unlink()
        (site / "old.html").write_text("there")
        (site / "docs" / "more.html").write_text("more")
        later(service)
        assert [(await ask(path)).status for path in ("/older", "/old", "/docs/more")] == [404, 200, 200]
        (site / "old.html").write_text("changed")
        assert await (await ask("/old")).text() == "there"
        later(service)
        assert await (await ask("/old")).text() == "changed"
        (site / "docs" / "more.html").unlink()
        later(service)
        service._looked += service._lasts  # it is still known, but not there
        assert (await ask("/docs/more")).status == 404

    serve(site, work)


def test_what_passes_is_known_without_the_disk(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        def passes(path: str, **headers: str) -> bool:
            given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
            return service.passes(Request("GET", f"http://shop.example{path}", given))

        assert not passes("/api/x")
        assert await ask("/api/x", front=True) is None
        assert [passes(path) for path in ("/api/x", "/about", "/old", "/docs")] == [True, False, False, False]
        assert not passes("/api/x", sec_fetch_mode="navigate")
        later(service)
        assert not passes("/api/x")

    serve(site, work, not_found_handling="404-page")


def test_many_requests_look_once(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        looks = []
        real = service._look_again

        def look() -> float:
            looks.append(1)
            return real()

        service._look_again = look  # type: ignore[method-assign]
        answers = await asyncio.gather(*(ask("/about") for _ in range(50)))
        assert {answer.status for answer in answers} == {200}
        assert len(looks) == 1

    serve(site, work)


def test_a_site_that_takes_long_to_look_at_is_looked_at_less_often(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 1e9)

    async def work(ask: Any, service: AssetsService) -> None:
        assert (await ask("/")).status == 200
        (site / "index.html").unlink()
        service._looked -= 100
        assert (await ask("/none")).status == 404
        assert "/index.html" in service._index.files  # as it was
        service._lasts = 1
        assert (await ask("/none")).status == 404
        assert "/index.html" not in service._index.files

    serve(site, work)


def test_what_is_kept_is_bounded(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10_000)
    for number in range(20):
        (site / f"{number}.txt").write_bytes(b"x" * 3000)

    async def work(ask: Any, service: AssetsService) -> None:
        for number in range(20):
            assert len(await (await ask(f"/{number}.txt")).read()) == 3000
            assert sum(len(file.data) for file in service._small.values()) == service._kept <= 10_000

    serve(site, work)


def test_rules_that_are_wrong_are_told_once(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    (site / "_redirects").write_text("/x\n")
    (site / "_headers").write_text("x" * 300_000)
    statuses(site, ["/", "/"])
    assert sorted(record.getMessage() for record in caplog.records) == [
        "shop's assets: _headers is larger than 262144 bytes, and left out",
        "shop's assets: _redirects: line 1: write for example /from /to 301",
    ]


def test_it_has_no_methods(site: Path) -> None:
    async def work(ask: Any, service: AssetsService) -> None:
        with pytest.raises(NoSuchMethod):
            await service.call("get", b"")

    serve(site, work)
