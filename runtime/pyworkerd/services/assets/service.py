"""Static files as a service (the `ASSETS` binding), and in front of a worker.

Which files there are and what `_headers` and `_redirects` say is looked at once a second, by the first request that
comes then; in between it is known without the disk whether a request is for the worker. Small files that are asked for
are kept for as long as that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pyworkerd.errors import NoSuchMethod, StorageError
from pyworkerd.http.conditional import byte_ranges, entity_tags
from pyworkerd.messages import Body, Response, header, text_response
from pyworkerd.services.base import DEFAULT
from pyworkerd.services.disk import file_response
from pyworkerd.storage.tree import Tree, explained

from .html import Found, Moved, missing, resolve
from .index import Index
from .rules import HeaderRule, Redirects, changed, glob, parse_headers, parse_redirects
from .types import media_type

if TYPE_CHECKING:
    from pyworkerd_config.model import Assets

    from pyworkerd.messages import Headers, Request
    from pyworkerd.services.base import Target
    from pyworkerd.storage.lane import Lane
    from pyworkerd.storage.tree import Entry

MAX_RULES: Final = 256 * 1024
"""Bytes of `_headers` and of `_redirects`: about 2,000 lines."""
LOOK_S: Final = 1.0
"""Seconds for which what was seen on the disk is believed."""
SHARE: Final = 10
"""What was seen is believed for so many times the CPU time that it took to see it: a tenant's site of twenty thousand
folders, each below sixty, must not have a thread of everybody's storage to itself.
"""
IN_HAND: Final = 64 * 1024
"""Bytes of a file that is read at once, and may be kept."""
KEPT: Final = 8 << 20
"""Bytes of all files that are kept."""
CACHE: Final = "public, max-age=0, must-revalidate"
"""What Workers say of assets: keep them, and ask whether they are new."""

logger = logging.getLogger("pyworkerd.assets")


class _Small(NamedTuple):
    """A file that was read, and until when that is believed."""

    entry: Entry
    data: bytes
    until: float


class _Large(NamedTuple):
    """A file that is open."""

    entry: Entry
    descriptor: int


class AssetsService:
    """The files of one folder, as a site has them."""

    external = False

    def __init__(self, name: str, model: Assets, lane: Lane) -> None:
        self.name = name
        self._model, self._lane, self._tree = model, lane, Tree(model.directory)
        self._index = Index.empty()
        self._looked, self._lasts = float("-inf"), LOOK_S
        self._looking: asyncio.Task[None] | None = None
        self._seen: dict[str, Entry | None] = {}
        self._headers: list[HeaderRule] = []
        self._redirects = Redirects()
        self._small: dict[str, _Small] = {}
        self._kept = 0
        first = model.run_worker_first
        globs = () if isinstance(first, bool) else first
        self._worker_always = first is True
        self._worker_first = tuple(glob(each) for each in globs if not each.startswith("!"))
        self._files_first = tuple(glob(each[1:]) for each in globs if each.startswith("!"))

    def __repr__(self) -> str:
        return f"<AssetsService {self.name}: {len(self._index.files)} files>"

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """Answer one request. Raises `StorageError`."""
        del target
        await self._look()
        return await self._answer(request, self._find(request, alone=True)) or Response(404)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """Refused: files have no methods."""
        del arguments, target
        raise NoSuchMethod(f"assets have no method {method[:40]!r}")

    async def aclose(self) -> None:
        """Finish what was begun."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
        await self._lane.aclose()

    # in front of a worker ------------------------------------------------------------------------------------

    def passes(self, request: Request) -> bool:
        """Whether a request is for the worker, as far as that is known without the disk."""
        return self._worker_always or (self._is_fresh() and self._judge(request) is None)

    async def before(self, request: Request) -> Response | None:
        """The answer to a request of the worker's, or None if it is for the worker itself."""
        if self._worker_always:
            return None
        await self._look()
        return await self._answer(request, self._judge(request))

    def _judge(self, request: Request) -> Found | Response | None:
        """A browser that navigates gets what `not_found_handling` has for it, in place of the worker's answer (Workers,
        `assets_navigation_prefers_asset_serving`).
        """
        path = urlsplit(request.url).path or "/"
        files = any(matches(path) for matches in self._files_first)
        if not files and any(matches(path) for matches in self._worker_first):
            return None
        alone = files or header(request.headers, "sec-fetch-mode") == "navigate"
        found = self._find(request, alone=alone)
        return Response(404) if found is None and files else found

    # which file ----------------------------------------------------------------------------------------------

    def _find(self, request: Request, *, alone: bool) -> Found | Response | None:
        """What a request leads to. `alone`: nobody else answers what is not there."""
        parts = urlsplit(request.url)
        path = parts.path or "/"
        redirect = self._redirects.find(parts.netloc.lower(), path, parts.query)
        if redirect is not None:
            status, to = redirect
            if status != 200:
                return Response(status, (("location", _location(to)),))
            path = to.partition("?")[0]
        plain = _decoded(path)
        if plain is None:
            return Response(404) if alone else None
        exists = self._index.files.__contains__
        outcome = resolve(plain, self._model.html_handling, exists)
        if isinstance(outcome, Moved):
            to = quote(outcome.path, safe="/!$&'()*+,;=:@~-._")
            return Response(307, (("location", f"{to}?{parts.query}" if parts.query else to),))
        if outcome is None and alone:
            return missing(plain, self._model.not_found_handling, exists)
        return outcome

    async def _answer(self, request: Request, found: Found | Response | None) -> Response | None:
        if found is None:
            return None
        await request.body.aclose()
        if isinstance(found, Response):
            return found
        if request.method not in ("GET", "HEAD"):
            return text_response(405, "Method Not Allowed", (("allow", "GET, HEAD"),))
        file = self._small.get(found.file)
        if file is None or file.until < asyncio.get_running_loop().time():
            opened = await self._lane.run(partial(self._open, found.file))
            if opened is None:  # it has just gone
                return Response(404)
            if isinstance(opened, _Large):
                return self._respond(request, found, opened)
            file = self._keep(found.file, opened)
        return self._respond(request, found, file)

    def _keep(self, name: str, file: _Small) -> _Small:
        before = self._small.pop(name, None)
        self._kept += len(file.data) - (len(before.data) if before is not None else 0)
        if self._kept > KEPT:
            self._small.clear()
            self._kept = len(file.data)
        kept = self._small[name] = file._replace(until=asyncio.get_running_loop().time() + LOOK_S)
        return kept

    # answering -----------------------------------------------------------------------------------------------

    def _respond(self, request: Request, found: Found, file: _Small | _Large) -> Response:
        entry, parts = file.entry, urlsplit(request.url)
        etag = f"{entry.modified_ns:x}-{entry.size:x}"
        own = (("content-type", media_type(found.file)), ("cache-control", CACHE), ("etag", f'"{etag}"'))
        headers = changed(own, self._headers, parts.netloc.lower(), parts.path or "/")
        tags = header(request.headers, "if-none-match")
        if tags is not None and any(tag.matches(etag, weakly=True) for tag in entity_tags(tags)):
            _let_go(file)
            return Response(304, headers)
        if request.method == "HEAD":
            _let_go(file)
            return Response(found.status, (*headers, ("content-length", str(entry.size))))
        asked = header(request.headers, "range") if found.status == 200 else None
        unless = header(request.headers, "if-range")
        if unless is not None and unless != f'"{etag}"':  # RFC 9110 section 13.1.5; dates are not compared
            asked = None
        if isinstance(file, _Small):
            return _in_hand(file, found.status, headers, asked)
        answer = file_response(entry, file.descriptor, asked, headers, self._lane)
        if answer.status == 200:
            answer.status = found.status
        return answer

    # the disk, on a thread -----------------------------------------------------------------------------------

    def _is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._looked < self._lasts

    async def _look(self) -> None:
        """Look at the disk again if it is time to: once for all that come meanwhile. Raises `StorageError`."""
        if self._is_fresh():
            return
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._renew())
        await asyncio.shield(self._looking)

    async def _renew(self) -> None:
        try:
            self._lasts = max(LOOK_S, SHARE * await self._lane.run(self._look_again))
            self._looked = asyncio.get_running_loop().time()
        finally:
            self._looking = None

    def _look_again(self) -> float:
        """How many seconds of CPU time it took."""
        began = time.thread_time()
        self._index = self._index.renewed(self._tree, time.time_ns())
        for name in ("_headers", "_redirects"):
            self._read_rules(name)
        return time.thread_time() - began

    def _open(self, file: str) -> _Small | _Large | None:
        opened = self._tree.open(tuple(file.split("/")[1:]))
        if opened is None:
            return None
        entry, descriptor = opened
        if entry.size > IN_HAND:
            return _Large(entry, descriptor)
        return _Small(entry, _read(entry, descriptor), 0.0)

    def _read_rules(self, name: str) -> None:
        """Read one of the files of rules again if it is another than it was."""
        entry = self._tree.look((name,))
        if name in self._seen and self._seen[name] == entry:
            return
        self._seen[name] = entry
        text = "" if entry is None else self._text(name)
        wrong: list[str]
        if name == "_headers":
            self._headers, wrong = parse_headers(text)
        else:
            self._redirects, wrong = parse_redirects(text)
        for sentence in wrong[:20]:
            logger.warning("%s: %s: %s", self.name, name, sentence)

    def _text(self, name: str) -> str:
        opened = self._tree.open((name,))
        if opened is None:
            return ""
        entry, descriptor = opened
        if entry.size > MAX_RULES:
            os.close(descriptor)
            logger.warning("%s: %s is larger than %d bytes, and left out", self.name, name, MAX_RULES)
            return ""
        return _read(entry, descriptor).decode("utf-8", "replace")


def _read(entry: Entry, descriptor: int) -> bytes:
    """All of a small file, which is closed."""
    try:
        with explained():
            data = os.pread(descriptor, entry.size, 0)
    finally:
        os.close(descriptor)
    if len(data) != entry.size:
        raise StorageError("the file has become shorter while it was read")
    return data


def _let_go(file: _Small | _Large) -> None:
    if isinstance(file, _Large):
        os.close(file.descriptor)


def _in_hand(file: _Small, status: int, headers: Headers, asked: str | None) -> Response:
    size = len(file.data)
    ranges = None if asked is None else byte_ranges(asked, size)
    if ranges == ():
        return Response(416, (("content-range", f"bytes */{size}"),))
    if ranges is None or len(ranges) != 1:
        return Response(status, headers, Body(file.data))
    start, end = ranges[0].offset, sum(ranges[0])
    shown = ("content-range", f"bytes {start}-{end - 1}/{size}")
    return Response(206, (*headers, shown), Body(file.data[start:end]))


def _decoded(path: str) -> str | None:
    try:
        return unquote_to_bytes(path).decode() if "%2f" not in path.lower() else None
    except UnicodeDecodeError:
        return None


def _location(to: str) -> str:
    """A destination as a header has it. What placeholders brought in is a part of it, and no more."""
    return quote(to, safe="%/!$&'()*+,;=:@~-._?#[]")
