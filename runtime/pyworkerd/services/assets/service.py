"""Static files as a service (the `ASSETS` binding), and in front of a worker.

All that a request needs of the disk is one piece of work on a thread: look at `_headers` and `_redirects` if they have
changed, find the file, open it. What is not there is known by then, so that the worker can be asked.
"""

from __future__ import annotations

import logging
import os
import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pyworkerd.errors import NoSuchMethod, StorageError
from pyworkerd.http.conditional import entity_tags
from pyworkerd.messages import Body, Response, header, text_response
from pyworkerd.services.base import DEFAULT
from pyworkerd.services.disk import file_response
from pyworkerd.storage.tree import FILE, Tree, explained

from .html import Found, Moved, missing, resolve
from .rules import HeaderRule, Redirects, changed, parse_headers, parse_redirects
from .types import media_type

if TYPE_CHECKING:
    from pyworkerd_config.model import Assets

    from pyworkerd.messages import Request
    from pyworkerd.services.base import Target
    from pyworkerd.storage.lane import Lane
    from pyworkerd.storage.tree import Entry

OWN: Final = frozenset(("_headers", "_redirects"))
"""Files of the folder's root that are for us, not for clients."""
MAX_RULES: Final = 256 * 1024
"""Bytes of one of these: about 2,000 lines."""
IN_HAND: Final = 64 * 1024
"""Bytes of a file that is read at once."""
CACHE: Final = "public, max-age=0, must-revalidate"
"""What Workers say of assets: keep them, and ask whether they are new."""

logger = logging.getLogger("pyworkerd.assets")


class _Opened(NamedTuple):
    """A file, by its status and the path that its rules are found by."""

    entry: Entry
    descriptor: int
    file: str
    status: int


class AssetsService:
    """The files of one folder, as a site has them."""

    external = False

    def __init__(self, name: str, model: Assets, lane: Lane) -> None:
        self.name = name
        self._model, self._lane, self._tree = model, lane, Tree(model.directory)
        self._seen: dict[str, Entry | None] = {}
        self._headers: list[HeaderRule] = []
        self._redirects = Redirects()
        first = model.run_worker_first
        globs = () if isinstance(first, bool) else first
        self._worker_always = first is True
        self._worker_first = tuple(_glob(each) for each in globs if not each.startswith("!"))
        self._files_first = tuple(_glob(each[1:]) for each in globs if each.startswith("!"))

    def __repr__(self) -> str:
        return f"<AssetsService {self.name}>"

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """Answer one request. Raises `StorageError`."""
        del target
        return await self._answer(request, alone=True) or Response(404)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """Refused: files have no methods."""
        del arguments, target
        raise NoSuchMethod(f"assets have no method {method[:40]!r}")

    async def aclose(self) -> None:
        """Finish what was begun."""
        await self._lane.aclose()

    async def before(self, request: Request) -> Response | None:
        """The answer to a request of the worker's, or None if it is for the worker itself.

        A browser that navigates gets what `not_found_handling` has for it, in place of the worker's answer (Workers,
        `assets_navigation_prefers_asset_serving`).
        """
        if self._worker_always:
            return None
        path = urlsplit(request.url).path or "/"
        files = any(each.fullmatch(path) for each in self._files_first)
        if not files and any(each.fullmatch(path) for each in self._worker_first):
            return None
        alone = files or header(request.headers, "sec-fetch-mode") == "navigate"
        found = await self._answer(request, alone=alone)
        return Response(404) if found is None and files else found

    async def _answer(self, request: Request, *, alone: bool) -> Response | None:
        parts = urlsplit(request.url)
        path, host = parts.path or "/", parts.netloc.lower()
        found = await self._lane.run(partial(self._find, host, path, parts.query, alone))
        if found is None:
            return None
        await request.body.aclose()
        if isinstance(found, Response):
            return found
        if request.method not in ("GET", "HEAD"):
            os.close(found.descriptor)
            return text_response(405, "Method Not Allowed", (("allow", "GET, HEAD"),))
        return await self._respond(request, found, host, path)

    async def _respond(self, request: Request, found: _Opened, host: str, path: str) -> Response:
        entry = found.entry
        etag = f"{entry.modified_ns:x}-{entry.size:x}"
        headers = changed(
            (("content-type", media_type(found.file)), ("cache-control", CACHE), ("etag", f'"{etag}"')),
            self._headers,
            host,
            path,
        )
        tags = header(request.headers, "if-none-match")
        if tags is not None and any(tag.matches(etag, weakly=True) for tag in entity_tags(tags)):
            os.close(found.descriptor)
            return Response(304, headers)
        if request.method == "HEAD":
            os.close(found.descriptor)
            return Response(found.status, (*headers, ("content-length", str(entry.size))))
        asked = header(request.headers, "range") if found.status == 200 else None
        unless = header(request.headers, "if-range")
        if unless is not None and unless != f'"{etag}"':  # RFC 9110 section 13.1.5; dates are not compared
            asked = None
        if asked is None and entry.size <= IN_HAND:
            return Response(found.status, headers, Body(await self._lane.run(partial(_read, found))))
        answer = file_response(entry, found.descriptor, asked, headers, self._lane)
        if answer.status == 200:
            answer.status = found.status
        return answer

    # on a thread ---------------------------------------------------------------------------------------------

    def _find(self, host: str, path: str, query: str, alone: bool) -> _Opened | Response | None:
        """What a path leads to. `alone`: nobody else answers what is not there."""
        self._renew("_headers")
        self._renew("_redirects")
        redirect = self._redirects.find(host, path, query)
        if redirect is not None:
            status, to = redirect
            if status != 200:
                return Response(status, (("location", _location(to)),))
            path = to.partition("?")[0]
        plain = _decoded(path)
        if plain is None:
            return Response(404) if alone else None
        outcome = resolve(plain, self._model.html_handling, self._exists)
        if isinstance(outcome, Moved):
            to = quote(outcome.path, safe="/!$&'()*+,;=:@~-._")
            return Response(307, (("location", f"{to}?{query}" if query else to),))
        if outcome is None and alone:
            outcome = missing(plain, self._model.not_found_handling, self._exists)
        return None if outcome is None else self._open(outcome)

    def _open(self, found: Found) -> _Opened | None:
        opened = self._tree.open(_names(found.file) or ("",))
        return None if opened is None else _Opened(*opened, found.file, found.status)

    def _exists(self, file: str) -> bool:
        names = _names(file)
        if names is None or (len(names) == 1 and names[0] in OWN):
            return False
        entry = self._tree.look(names)
        return entry is not None and entry.kind == FILE

    def _renew(self, name: str) -> None:
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
        try:
            with explained():
                if entry.size > MAX_RULES:
                    logger.warning("%s: %s is larger than %d bytes, and left out", self.name, name, MAX_RULES)
                    return ""
                return os.pread(descriptor, MAX_RULES, 0).decode("utf-8", "replace")
        finally:
            os.close(descriptor)


def _read(found: _Opened) -> bytes:
    try:
        with explained():
            data = os.pread(found.descriptor, found.entry.size, 0)
    finally:
        os.close(found.descriptor)
    if len(data) != found.entry.size:
        raise StorageError("the file has become shorter while it was read")
    return data


def _decoded(path: str) -> str | None:
    try:
        return unquote_to_bytes(path).decode() if "%2f" not in path.lower() else None
    except UnicodeDecodeError:
        return None


def _names(file: str) -> tuple[str, ...] | None:
    """The names on the way to a file; None where nothing can be: nothing begins with a dot but `.well-known`."""
    names = tuple(file.split("/")[1:])
    for name in names:
        if not name or "\0" in name or (name.startswith(".") and name != ".well-known"):
            return None
    return names or None


def _location(to: str) -> str:
    """A destination as a header has it. What placeholders brought in is a part of it, and no more."""
    return quote(to, safe="%/!$&'()*+,;=:@~-._?#[]")


def _glob(text: str) -> re.Pattern[str]:
    """`/api/*`: the star stands for anything."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
