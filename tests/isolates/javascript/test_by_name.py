"""Bindings that a program asks for by their names, and bindings as globals: what is bound, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.protocol import Call, Fetch
from pyworkerd_isolates.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

    Start = Callable[..., Driver]

NAMED = [
    ("auth", "fetcher", 1),
    ("USER_DATA", "fetcher", 2),
    ("DB", "d1", 3),
    ("GREETING", "value", wire.dump_value("hi")),
]
NO_SUCH = "the configuration of this worker names no such binding"


def answer(call: Call | Fetch) -> object:
    """What was asked, as an answer."""
    if isinstance(call, Fetch):
        return Reply(200, (), f"{call.capability} {call.method} {call.url} {dict(call.headers)}".encode())
    positional, _ = wire.load_value(call.arguments)
    if call.capability == 3:
        meta = [1, 0, 0, False, 0, 0, 0]
        return [[[["n"], [[f"{call.method} {positional}"]], [], meta]], None]
    return f"{call.capability} {call.method} {positional}"


def said(start: Start, body: str, top: str = "", **files: str) -> str:
    """What a worker answers whose handler is this, and whose module begins like that."""
    source = f"{top}\nexport default {{ async fetch(request, env) {{ {body} }} }};"
    return start({"w.js": source, **files}, answer=answer, bindings=NAMED).fetch().text


BINDINGS = """
export const auth = new ServiceBinding("auth");
export const users = new ServiceBinding("user-data");
export const nobody = new ServiceBinding("nobody");
export const text = new ServiceBinding("GREETING");
"""


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (
            'auth.fetch("/me", { headers: { Authorization: "Bearer x" } })',
            "1 GET http://auth/me {'authorization': 'Bearer x'}",
        ),
        ('auth.fetch("me?a=b#c")', "1 GET http://auth/me?a=b#c {}"),
        ('users.fetch("/", { method: "PUT" })', "2 PUT http://user-data/ {}"),
        ('auth.fetch("https://shop.example/x")', "1 GET https://shop.example/x {}"),
        ('auth.fetch(new URL("https://shop.example/x"))', "1 GET https://shop.example/x {}"),
        (
            'auth.fetch(new Request("https://shop.example/x", { method: "PUT" }))',
            "1 PUT https://shop.example/x {}",
        ),
        ('auth.fetch("//evil.example/x")', "1 GET http://evil.example/x {}"),
    ],
)
def test_a_service_by_its_name(start: Start, asked: str, sent: str) -> None:
    top = 'import { auth, users } from "./bindings.js";'
    found = said(start, f"return await {asked};", top, **{"bindings.js": BINDINGS})
    assert found == sent


def test_its_methods_are_those_of_the_service(start: Start) -> None:
    body = """
    const found = [await auth.verify("x", 1), auth instanceof ServiceBinding, (await auth) === auth];
    return new Response(found.join(" "));"""
    assert said(start, body, 'const auth = new ServiceBinding("auth");') == "1 verify ['x', 1] true true"


@pytest.mark.parametrize("name", ["nobody", "GREETING", "DB", "constructor", "__proto__", "toString"])
def test_what_is_not_bound_cannot_be_reached(start: Start, name: str) -> None:
    asked = f'new ServiceBinding("{name}")'
    at_once = f"try {{ {asked}; }} catch (error) {{ return new Response(`${{error}}`); }}"
    assert said(start, at_once) == f"TypeError: {asked}: {NO_SUCH}"
    later = "return new Response(await other.fetch('/').catch(String) + await other.steal().catch(String));"
    assert said(start, later, f"const other = {asked};") == 2 * f"TypeError: {asked}: {NO_SUCH}"


def test_a_name_is_a_text(start: Start) -> None:
    for wrong in ("", '""', "7", "{}"):
        with pytest.raises(TopLevelRaised, match="takes the name of a service"):
            said(start, "", f"new ServiceBinding({wrong});")


DATABASE = 'const db = D1Database.fromEnv("DB");'


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (
            'db.execute("INSERT INTO users (id, name) VALUES (?, ?)", [1, "Ann"])',
            "one [None, 'INSERT INTO users (id, name) VALUES (?, ?)', 1, 'Ann']",
        ),
        ('db.execute("SELECT 1")', "one [None, 'SELECT 1']"),
        ('db.prepare("SELECT ?").bind(2).all()', "one [None, 'SELECT ?', 2]"),
        ('db.batch([db.prepare("SELECT 3")]).then(([each]) => each)', "one [None, 'SELECT 3']"),
        ('db.withSession().prepare("SELECT 4").all()', "one ['', 'SELECT 4']"),
    ],
)
def test_a_database_by_its_name(start: Start, asked: str, sent: str) -> None:
    assert said(start, f"return new Response((await {asked}).results[0].n);", DATABASE) == sent


def test_a_database_that_is_not_bound(start: Start) -> None:
    for name in ("OTHER", "auth", "GREETING"):
        asked = f'D1Database.fromEnv("{name}")'
        body = f"try {{ {asked}; }} catch (error) {{ return new Response(`${{error}}`); }}"
        assert said(start, body) == f"TypeError: {asked}: {NO_SUCH}"
        later = "return new Response(await db.execute('SELECT 1').catch(String));"
        assert said(start, later, f"const db = {asked};") == f"TypeError: {asked}: {NO_SUCH}"


def test_databases_are_of_one_kind_however_they_are_found(start: Start) -> None:
    body = "return new Response([env.DB, db, env.auth, {}].map((each) => each instanceof D1Database));"
    assert said(start, body, DATABASE) == "true,true,false,false"
    body = "try { new D1Database(3); } catch (error) { return new Response(`${error}`); }"
    assert said(start, body).startswith("TypeError: Illegal constructor")


@pytest.mark.parametrize(
    "asked", ['D1Database.fromEnv("DB").prepare("SELECT 1")', 'await new ServiceBinding("auth").fetch("/")']
)
def test_at_the_top_level_there_are_none_yet(start: Start, asked: str) -> None:
    with pytest.raises(TopLevelRaised, match="bindings come with the first event, and this is the top level"):
        said(start, "", f"{asked};")


def test_they_can_be_imported_where_their_types_are(start: Start) -> None:
    top = """
    import { D1Database, ServiceBinding } from "@cloudflare/workers-types";
    const auth = new ServiceBinding("auth");"""
    assert said(start, 'return await auth.fetch("/");', top).startswith("1 GET http://auth/")


@pytest.mark.parametrize(
    ("body", "top", "found"),
    [
        ("return new Response(GREETING);", "", "hi"),
        ("return new Response(`${GREETING} ${typeof DB}`);", "", "hi object"),
        ("return new Response(GREETING);", 'const GREETING = "mine";', "mine"),
        ("return new Response(String(globalThis.GREETING));", "", "undefined"),
        ("return new Response(GREETING);", 'globalThis.GREETING = "mine";', "mine"),
        ("return new Response(greeting());", 'import { greeting } from "./other.js";', "hi"),
        ("return new Response(Object.keys(globalThis).includes('GREETING') + GREETING);", "", "falsehi"),
    ],
)
def test_bindings_that_a_program_names_are_globals(start: Start, body: str, top: str, found: str) -> None:
    files = {"other.js": "export const greeting = () => GREETING;"} if "other" in top else {}
    assert said(start, body, top, **files) == found


def test_the_platform_goes_before_a_binding(start: Start) -> None:
    source = {"w.js": "export default { fetch() { return new Response(typeof URL + typeof JSON); } };"}
    bindings = [("URL", "value", wire.dump_value(1)), ("JSON", "value", wire.dump_value(1))]
    assert start(source, bindings=bindings).fetch().text == "functionobject"


def test_an_image_has_none_of_them(start: Start) -> None:
    """The top level sees nothing, and another isolate of the same program has its own."""
    source = {
        "w.js": "const then = typeof SECRET; export default { fetch() { return new Response(then + SECRET); } };"
    }
    for secret in ("one", "two"):
        driver = start(source, bindings=[("SECRET", "value", wire.dump_value(secret))])
        assert driver.fetch().text == f"undefined{secret}"
