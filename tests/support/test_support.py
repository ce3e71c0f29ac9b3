"""docs/support.md against the code: the page is what the tables give, and real isolates have what it says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config import Place, parse_toml
from pyworkerd_config.kinds import BINDING_KINDS, NOT_YET
from pyworkerd_config.wrangler import tables as wrangler_tables

from tests.packaging.tree import ROOT
from tests.support.matrix import (
    _MATTERS,
    LANGUAGES,
    PAGE,
    REFUSES,
    STATUSES,
    THERE,
    Section,
    Status,
    page,
    sections,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BINDINGS = """
OTHER = { service = "other" }
KV = { kv = "kv" }
R2 = { r2 = "r2" }
DB = { d1 = "db" }
JOBS = { queue = "jobs" }
LIMIT = { rate_limit = { limit = 1, period = 60 } }
SEEN = { analytics_engine = "seen" }
LOADER = { worker_loader = {} }
ROOM = { durable_object = "Room" }
"""
CONFIG = """
[[queues]]
name = "jobs"
producers = ["javascript", "python"]
[[services]]
name = "other"
[services.worker]
main = "other.py"
"""
WORKER = '[[services]]\nname = "{name}"\n[services.worker]\nmain = "{name}.{suffix}"\nlimits = {{ cpu_ms = 5000 }}\n'
JAVASCRIPT = """
import * as workers from "cloudflare:workers";
const has = async (found) => { try { return await found(); } catch (error) { return String(error); } };
export default {
  async fetch(request, env, ctx) {
    return Response.json([await inside(request, env, ctx), await env.ROOM.getByName("a").names()]);
  },
};
export class Room extends workers.DurableObject {
  async names() { return await ofObject(this.ctx); }
}
"""
PYTHON = """
import importlib, inspect, re
import workers
from workers import DurableObject, Response, WorkerEntrypoint

def spellings(name):
    return name, re.sub("([A-Z]+)", r"_\\1", name).lower()

async def has(place, name):
    place = await place if inspect.isawaitable(place) else place
    return any(hasattr(place, each) for each in spellings(name))

async def got(bucket):
    await bucket.put("a", "b")
    return await bucket.get("a")

async def refused(place, name):
    method = next(getattr(place, each) for each in spellings(name) if hasattr(place, each))
    try:
        answer = method(*[None for each in inspect.signature(method).parameters])
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        return "refused"
    return True

async def found(question):
    try:
        answer = question()
        return await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        return f"{type(error).__name__}: {error}"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        env, ctx = self.env, self.ctx
        return Response.json([await inside(request, env, ctx), dict(await env.ROOM.get_by_name("a").names())])

class Room(DurableObject):
    async def names(self):
        return await of_object(self.ctx)

"""


class Question(NamedTuple):
    """A name that is to be looked for."""

    key: str
    place: str
    name: str
    is_module: bool
    status: Status


def asked(language: str) -> Iterator[Question]:
    """All names of a language."""
    for section in sections():
        place = section.places.get(language, "")
        for name, statuses in section.rows.items() if place else ():
            if name.isidentifier() or section.is_module:
                yield Question(f"{section.title}: {name}", place, name, section.is_module, statuses[language])


def table(language: str, *, of_object: bool, entry: Callable[[Question], str], brackets: str) -> str:
    """A dictionary in a language's own words: what it finds out by each key."""
    rows = (entry(each) for each in asked(language) if each.place.startswith("state") == of_object)
    return brackets.replace("...", ",\n".join(rows))


def in_javascript(question: Question) -> str:
    """An entry whose value is true, false, `"refused"` or an error."""
    key, place, name, is_module, status = question
    if is_module:
        look = f"{{ const name = {json.dumps(name)}; {place}; return true; }}"
    elif status.note == REFUSES:
        look = f"{{ try {{ await ({place}).{name}(); return true; }} catch {{ return 'refused'; }} }}"
    else:
        look = f"{json.dumps(name)} in Object(await ({place}))"
    return f"{json.dumps(key)}: await has(async () => {look})"


def in_python(question: Question) -> str:
    """The same."""
    key, place, name, is_module, status = question
    look = f"bool({place})" if is_module else f"has({place}, name)"
    if status.note == REFUSES:
        look = f"await refused({place}, name)"
    return f"{key!r}: await found(lambda name={name!r}: {look.removeprefix('await ')})"


def javascript() -> str:
    """A worker that tells what it has."""
    inside, of_object = (
        table("javascript", of_object=each, entry=in_javascript, brackets="({...})") for each in (False, True)
    )
    return (
        f"{JAVASCRIPT}\nasync function inside(request, env, ctx) {{ return {inside}; }}\n"
        f"async function ofObject(state) {{ return {of_object}; }}\n"
    )


def python() -> str:
    """The same in Python."""
    inside, of_object = (
        table("python", of_object=each, entry=in_python, brackets="{...}") for each in (False, True)
    )
    return (
        f"{PYTHON}\nasync def inside(request, env, ctx):\n    return {inside}\n\n"
        f"async def of_object(state):\n    return {of_object}\n"
    )


def ask(folder: Path) -> dict[str, dict[str, Any]]:
    """What real isolates have, by language and key."""
    (folder / "javascript.js").write_text(javascript())
    (folder / "python.py").write_text(python())
    (folder / "other.py").write_text(
        "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint): pass\n"
    )
    text = CONFIG + "".join(
        WORKER.format(name=name, suffix=suffix) + f"[services.worker.bindings]{BINDINGS}"
        for name, suffix in (("javascript", "js"), ("python", "py"))
    )
    config = parse_toml(text, Place(folder / "config.toml"))

    async def main() -> dict[str, dict[str, Any]]:
        async with Runtime(config) as runtime:
            found = {}
            for language in LANGUAGES:
                response = await runtime.worker(language).fetch("http://x/")
                found[language] = {
                    key: value for part in json.loads(await response.text()) for key, value in part.items()
                }
            return found

    return asyncio.run(main())


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return ask(tmp_path_factory.mktemp("support"))


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.title)
def test_isolates_have_what_the_page_says(section: Section, there: dict[str, dict[str, Any]]) -> None:
    for name, statuses in section.rows.items():
        for language, (status, note) in statuses.items():
            found = there[language].get(f"{section.title}: {name}")
            if found is None:
                assert not name.isidentifier() or section.evidence, f"{name} is not looked for"
            elif note == REFUSES:
                assert (status, found) == ("not yet", "refused"), f"{language}: {name}"
            else:
                assert (found is True) == (status in THERE), (
                    f"{language}: {name} is {status}, and found: {found}"
                )


def test_the_page_is_what_the_tables_give() -> None:
    written, made = PAGE.read_text(encoding="utf-8").splitlines(), page().splitlines()
    assert sorted(set(written) ^ set(made)) == [], "run make docs"
    assert written == made


def test_every_row_has_one_of_the_statuses_and_every_section_is_shown() -> None:
    for section in sections():
        statuses = {status.status for by_language in section.rows.values() for status in by_language.values()}
        assert statuses <= set(STATUSES)
        assert all(section.places.values()) or section.evidence, section.title
        assert all((ROOT / test).exists() for test in section.evidence)
        assert all(set(by_language) == set(section.places) for by_language in section.rows.values()), (
            section.title
        )


def test_keys_that_matter_are_keys_of_wrangler() -> None:
    assert (wrangler_tables.NOT_HERE | wrangler_tables.NOT_IN_ROWS).keys() >= _MATTERS


def test_every_kind_of_binding_is_there() -> None:
    titles = {section.title for section in sections()}
    (others,) = (section.rows for section in sections() if section.title == "Bindings of other kinds")
    for kind in BINDING_KINDS.keys() - {"hello"}:
        assert kind in titles or others[kind]["javascript"].status in THERE, kind
    assert all(others[f"{kind}s"]["javascript"].status == "not yet" for kind in NOT_YET)
