"""The web platform inside of the engine, in an image, where the host's part of it is the real one."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.errors import TopLevelEntropy, TopLevelRaised

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox


@pytest.fixture
def answer(start: Callable[..., Driver]) -> Callable[[str], Any]:
    """What an expression gives in a handler, which may await."""

    def evaluate(expression: str, before: str = "") -> Any:
        source = f"{before}\nexport default {{ async fetch(request) {{ return Response.json([{expression}]); }} }};"
        run = start({"worker.js": source}).fetch("http://shop.test/a?b=c", method="POST", body=b'{"x": [1]}')
        assert run.status == 200, run
        return run.json[0]

    return evaluate


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("await request.json()", {"x": [1]}),
        ("new URL(request.url).searchParams.get('b')", "c"),
        ("await new Response(request.body.pipeThrough(new TextDecoderStream())).text().catch(({ name }) => name)",
         "TypeError"),
        ("await new Response(request.body).text()", '{"x": [1]}'),
        ("await request.clone().text()", '{"x": [1]}'),
        ("crypto.randomUUID() === crypto.randomUUID()", False),
        ("crypto.getRandomValues(new Uint8Array(32)).every((byte) => byte === 0)", False),
        ("Math.abs(performance.now() - Date.now()) < 2", True),
        ("[...(await new Response(await makeForm()).formData()).keys()]", ["a"]),
        ("await squeezed().text().then((text) => text.length)", 1000),
        ("new URLPattern({ pathname: '/:first' }).exec(request.url).pathname.groups.first", "a"),
        ("structuredClone(new Map([[1, { a: new Date(5) }]])).get(1).a.getTime()", 5),
        ("nameOf(() => new TextDecoder().decode('text'))", "TypeError"),
    ],
)  # fmt: skip
def test_a_handler_finds_it(answer: Callable[..., Any], expression: str, expected: object) -> None:
    before = """
    async function makeForm() { const form = new FormData(); form.set("a", "1"); return form; }
    const nameOf = (fail) => { try { fail(); } catch (error) { return error.name; } };
    const squeezed = () => new Response(new Blob(["x".repeat(1000)]).stream()
      .pipeThrough(new CompressionStream("gzip")).pipeThrough(new DecompressionStream("gzip")));
    """
    assert answer(expression, before) == expected


def test_a_top_level_may_use_what_needs_no_host(answer: Callable[..., Any]) -> None:
    before = """
    const url = new URL("http://a/b");
    const response = new Response("made before");
    const headers = new Headers({ a: "1" });
    const events = new EventTarget();
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    writer.write(Uint8Array.of(65)).catch(() => {});
    writer.close();
    """
    expression = (
        "[url.pathname, await response.clone().text(), headers.get('a'), await new Response(readable).text()]"
    )
    assert answer(expression, before) == ["/b", "made before", "1", "A"]


def test_a_top_level_may_import_secrets_and_use_them(answer: Callable[..., Any]) -> None:
    before = """
    const bytes = new TextEncoder().encode("secret");
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
    const signature = await crypto.subtle.sign("HMAC", key, bytes);
    const secret = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
    """
    expression = """[
      new Uint8Array(signature).toHex(),
      new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes)).toHex(),
      secret.algorithm.name,
    ]"""
    mac = hmac.digest(b"secret", b"secret", "sha256").hex()
    assert answer(expression, before) == [mac, mac, "PBKDF2"]


@pytest.mark.parametrize(
    "call",
    [
        "generateKey('Ed25519', false, ['sign'])",
        "importKey('raw', new Uint8Array(32), 'Ed25519', false, ['verify'])",
    ],
)
def test_a_top_level_has_no_host_that_computes(sandbox: Sandbox, call: str) -> None:
    with pytest.raises(TopLevelRaised, match="while a request is handled"):
        sandbox.image({"w.js": f"await crypto.subtle.{call}; export default {{ fetch() {{}} }};"})


@pytest.mark.parametrize(
    "top",
    [
        "crypto.randomUUID()",
        "crypto.getRandomValues(new Uint8Array(1))",
        "const f = new FormData(); new Response(f)",
        "await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt'])",
    ],
)
def test_a_top_level_has_no_entropy(sandbox: Sandbox, top: str) -> None:
    with pytest.raises(TopLevelEntropy, match="random numbers"):
        sandbox.image({"w.js": f"{top}; export default {{ fetch() {{}} }};"})


def test_console_and_uncaught_errors_become_log_entries(start: Callable[..., Driver]) -> None:
    source = """export default { async fetch() {
      console.log("a", { b: [1] });
      console.warn("careful");
      setTimeout(() => { throw new Error("late"); }, 1);
      await scheduler.wait(5);
      return new Response();
    } };"""
    run = start({"worker.js": source}).fetch()
    assert [(log.level, log.message.split("\n")[0]) for log in run.logs] == [
        ("info", "a { b: [ 1 ] }"),
        ("warning", "careful"),
        ("error", "Uncaught Error: late"),
    ]


DEEP = "let deep = {}; for (let i = 0; i < 100000; i += 1) deep = { deep };"


def test_what_is_deeper_than_the_stack_is_refused_or_cut(answer: Callable[..., Any]) -> None:
    """Clients send such values as JSON; the end of the stack would be the end of the isolate."""
    assert (
        answer("(() => { try { structuredClone(deep); } catch (e) { return e.name; } })()", DEEP)
        == "DataCloneError"
    )
    assert answer("[console.dir(deep, { depth: null }), console.log({ deep })].length", DEEP) == 2


def test_text_is_utf_8_both_ways(answer: Callable[..., Any]) -> None:
    """The engine's own encoder and decoder, of which the second takes nothing that is malformed."""
    before = """
    const texts = ["", "a\\0b", "é", "€", "😀", "\\ufeffx", "y".repeat(100_000), "€😀".repeat(50_000), "\\ud800z"];
    const encoder = new TextEncoder();
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const same = (text) => decoder.decode(encoder.encode(text)) === text.toWellFormed();
    const malformed = [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x61, 0xff, 0x62]];
    const loose = (bytes) => decoder.decode(new Uint8Array(bytes));
    const strict = (bytes) => {
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes));
      } catch (e) { return e.name; }
    };
    const part = new Uint8Array([0xff, 0x61, 0x62, 0xff]).subarray(1, 3);
    """
    assert answer("texts.map(same)", before) == [True] * 9
    assert answer("malformed.map(loose)", before) == [
        bytes(data).decode(errors="replace")
        for data in (
            [0xC0, 0x80],
            [0xED, 0xA0, 0x80],
            [0xF4, 0x90, 0x80, 0x80],
            [0xE2, 0x82],
            [0x61, 0xFF, 0x62],
        )
    ]
    assert answer("malformed.map(strict)", before) == ["TypeError"] * 5
    assert answer("decoder.decode(part)", before) == "ab"
