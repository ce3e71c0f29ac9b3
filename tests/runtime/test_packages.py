"""Packages from npm in JavaScript workers, and the example that uses one. Needs npm, and keeps what that installs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pyworkerd.runtime import Runtime
from pyworkerd.serving import Serving
from pyworkerd_config import load
from pyworkerd_config.model import Limits

from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EXAMPLE = ROOT / "examples/hono"
PACKAGES = {
    **json.loads((EXAMPLE / "site/package.json").read_text())["dependencies"],
    "itty-router": "5.0.24",
    "jose": "6.2.18",
    "mustache": "4.2.0",
    "nanoid": "5.1.16",
    "zod": "4.6.7",
}
SOURCE = """
import { AutoRouter } from "itty-router";
import Mustache from "mustache";
import { nanoid } from "nanoid";
import { z } from "zod";
import { page } from "./page";

const Item = z.object({ a: z.number().min(1), email: z.email().optional() });
const router = AutoRouter({ base: "/itty" });
router.get("/hello/:name", ({ name }) => ({ hello: name }));
const paths = {
  "/jsx": () => new Response(String(page("<you>"))),
  "/nanoid": () => new Response(nanoid()),
  "/mustache": () => {
    const page = "<b>{{name}}</b>{{#all}}[{{.}}]{{/all}}";
    return new Response(Mustache.render(page, { name: "<x>", all: [1, 2] }));
  },
  "/zod": () => Response.json([
    Item.safeParse({ a: 2 }).success,
    Item.safeParse({ a: 0 }).error.issues[0].code,
    Item.safeParse({ a: 1, email: "nobody" }).error.issues[0].path,
  ]),
};

export default {
  async fetch(request) {
    return paths[new URL(request.url).pathname]?.() ?? router.fetch(request);
  },
};
"""


def installed(packages: dict[str, str]) -> Path:
    """A folder with `node_modules`, installed once per machine."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm was not found: install Node.js")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyworkerd-tests"
    folder = cache / "-".join(f"{name}-{version}" for name, version in sorted(packages.items()))
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
        done = subprocess.run(
            [npm, "install", "--silent", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install: {done.stderr.strip()[-200:]}")
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="module")
def packages() -> Path:
    return installed(PACKAGES)


def with_packages(packages: Path, folder: Path) -> None:
    shutil.copytree(packages / "node_modules", folder / "node_modules", symlinks=True)


def test_packages_run_as_they_are(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(SOURCE)
    (tmp_path / "page.tsx").write_text("export const page = (name: string) => <p class='x'>Hello {name}</p>;")
    (tmp_path / "tsconfig.json").write_text('{ "compilerOptions": { "jsxImportSource": "hono/jsx", } }')
    with_packages(packages, tmp_path)

    async def main() -> list[str]:
        async with Runtime() as runtime:
            limits = Limits(cpu_ms=2000, startup_ms=10_000)
            worker = await runtime.load(tmp_path / "worker.js", limits=limits)
            return [
                await (await worker.fetch(path)).text()
                for path in ("/nanoid", "/mustache", "/zod", "/itty/hello/x", "/jsx")
            ]

    name, page, checked, routed, written = asyncio.run(main())
    assert len(name) == 21
    assert page == "<b>&lt;x&gt;</b>[1][2]"
    assert json.loads(checked) == [True, "too_small", ["email"]]
    assert json.loads(routed) == {"hello": "x"}
    assert written == '<p class="x">Hello &lt;you&gt;</p>'


TOKENS = """
import * as jose from "jose";

const SIGNATURES = ["HS256", "RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
const ENCRYPTION = {
  "dir": ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"],
  "A128KW": ["A256GCM"], "A256GCMKW": ["A128GCM"], "PBES2-HS256+A128KW": ["A128GCM"],
  "RSA-OAEP-256": ["A256GCM"], "ECDH-ES": ["A128GCM"], "ECDH-ES+A256KW": ["A128CBC-HS256"],
};
const claims = { sub: "somebody", n: 1 };

async function signed(alg) {
  const pair = alg === "HS256"
    ? { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(32).fill(1) }
    : await jose.generateKeyPair(alg, { extractable: true });
  const unsigned = new jose.SignJWT(claims).setProtectedHeader({ alg }).setExpirationTime("1h");
  const token = await unsigned.sign(pair.privateKey);
  const { payload } = await jose.jwtVerify(token, pair.publicKey);
  const forged = await jose.jwtVerify(`${token.slice(0, -8)}AAAAAAAA`, pair.publicKey).catch(({ code }) => code);
  return [payload.sub, forged];
}

async function pem(alg) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const own = await jose.importPKCS8(await jose.exportPKCS8(privateKey), alg);
  const known = jose.createLocalJWKSet({ keys: [{ ...(await jose.exportJWK(publicKey)), alg, kid: "a" }] });
  const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, kid: "a" }).sign(own);
  return (await jose.jwtVerify(token, known)).payload.n;
}

async function keysOf(alg, enc) {
  if (alg.startsWith("RSA") || alg.startsWith("ECDH")) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg);
    return [publicKey, privateKey];
  }
  const size = { "A128GCM": 16, "A256GCM": 32, "A128CBC-HS256": 32, "A256CBC-HS512": 64 }[enc];
  const secret = alg === "dir" ? new Uint8Array(size) : alg.startsWith("PBES2") ? new TextEncoder().encode("password")
    : await jose.generateSecret(alg);
  return [secret, secret];
}

async function encrypted(alg, enc) {
  const [to, own] = await keysOf(alg, enc);
  const token = await new jose.EncryptJWT(claims).setProtectedHeader({ alg, enc }).encrypt(to);
  const options = { keyManagementAlgorithms: [alg] };
  return (await jose.jwtDecrypt(token, own, options)).payload.sub;
}

export default {
  async fetch() {
    const found = {};
    for (const alg of SIGNATURES) found[alg] = await signed(alg);
    for (const alg of ["RS256", "ES256", "EdDSA"]) found[`${alg} pem`] = await pem(alg);
    for (const [alg, encryptions] of Object.entries(ENCRYPTION)) {
      for (const enc of encryptions) found[`${alg} ${enc}`] = await encrypted(alg, enc);
    }
    return Response.json(found);
  },
};
"""


def test_tokens_are_signed_and_encrypted(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(TOKENS)
    with_packages(packages, tmp_path)

    async def main() -> dict[str, object]:
        async with Runtime() as runtime:
            worker = await runtime.load(tmp_path / "worker.js", limits=Limits(cpu_ms=5000, startup_ms=10_000))
            answer = await worker.fetch("/")
            assert answer.status == 200, await answer.text()
            found: dict[str, object] = json.loads(await answer.text())
            return found

    found = asyncio.run(main())
    assert len(found) == 21
    for name, outcome in found.items():
        signed = ["somebody", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"]
        assert outcome in (signed, 1, "somebody"), name


def test_the_example(packages: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(
        EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("node_modules", ".pyworkerd")
    )
    with_packages(packages, folder / "site")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("127.0.0.1:8787", "127.0.0.1:0"))

    async def visit(ask: Callable[..., Awaitable[tuple[int, str]]]) -> None:
        assert await ask("GET", "/") == (200, "Notes")
        assert (await ask("GET", "/notes/a"))[0] == 404
        for name in ("a", "b"):
            status, text = await ask("PUT", f"/notes/{name}", json={"text": f"note {name}"})
            assert (status, json.loads(text)["text"]) == (201, f"note {name}")
        assert json.loads((await ask("GET", "/notes/b"))[1])["text"] == "note b"
        assert await ask("GET", "/all") == (200, "a: note a\nb: note b\n")
        assert (await ask("DELETE", "/notes/a"))[0] == 204
        assert await ask("GET", "/all") == (200, "b: note b\n")
        assert (await ask("GET", "/nowhere"))[0] == 404

    async def main() -> None:
        async with Runtime(load(config)) as runtime:
            serving = Serving(runtime)
            (socket,) = await serving.start()

            async def ask(method: str, path: str, **options: object) -> tuple[int, str]:
                async with client.request(method, f"http://{socket.address}{path}", **options) as response:  # type: ignore[arg-type]
                    assert response.headers["x-served-by"] == "hono"
                    return response.status, await response.text()

            try:
                async with aiohttp.ClientSession() as client:
                    await visit(ask)
            finally:
                await serving.aclose()

    asyncio.run(main())


OF_NODE = {
    "bcryptjs": "3.0.3", "body-parser": "2.4.0", "busboy": "1.6.0", "cookie-signature": "1.2.2", "csv-parse": "7.0.3",
    "iconv-lite": "0.7.3", "jsonwebtoken": "9.0.3",
}  # fmt: skip
"""Packages that were written for Node.js, and ask for its modules."""
WITH_NODE = """
import crypto from "node:crypto";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import bcrypt from "bcryptjs";
import bodyParser from "body-parser";
import busboy from "busboy";
import cookie from "cookie-signature";
import { parse } from "csv-parse";
import iconv from "iconv-lite";
import jwt from "jsonwebtoken";

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const pem = {
  publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" },
};
const ways = {
  async jsonwebtoken() {
    const rsa = await promisify(crypto.generateKeyPair)("rsa", { modulusLength: 2048, ...pem });
    const ec = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    const secret = { privateKey: "secret", publicKey: "secret" };
    return Object.entries({ HS256: secret, RS256: rsa, PS384: rsa, ES256: ec }).map(([algorithm, keys]) => {
      const token = jwt.sign({ sub: algorithm }, keys.privateKey, { algorithm, expiresIn: "1h" });
      const forged = `${token.slice(0, -8)}AAAAAAAA`;
      try { jwt.verify(forged, keys.publicKey); } catch ({ message }) {
        return [jwt.verify(token, keys.publicKey).sub, message];
      }
    });
  },
  async bcryptjs() {
    return [await bcrypt.compare("a", await bcrypt.hash("a", 4)), bcrypt.compareSync("b", bcrypt.hashSync("a", 4))];
  },
  busboy(request) {
    const found = [];
    return new Promise((resolve, reject) => {
      const form = busboy({ headers: Object.fromEntries(request.headers) });
      form.on("field", (name, value) => found.push([name, value]));
      form.on("file", (name, stream, { filename }) => {
        all(stream).then((chunks) => found.push([name, filename, Buffer.concat(chunks).length]), reject);
      });
      form.on("close", () => resolve(found)).on("error", reject);
      Readable.fromWeb(request.body).pipe(form);
    });
  },
  "body-parser": async () => {
    const request = Object.assign(Readable.from([Buffer.from('{"a":'), Buffer.from("1}")], { objectMode: false }), {
      headers: { "content-type": "application/json", "content-length": "7" },
    });
    await promisify(bodyParser.json())(request, {});
    return request.body;
  },
  "cookie-signature": () => [cookie.unsign(cookie.sign("value", "key"), "key"), cookie.unsign("value.x", "key")],
  "csv-parse": () => all(Readable.from(["a,b\\n1,", "2\\n3,4\\n"]).pipe(parse({ columns: true }))),
  async "iconv-lite"() {
    const bytes = iconv.encode("caf\\u00e9 \\u20ac", "win1252");
    return [bytes.toString("hex"), (await all(Readable.from([bytes]).pipe(iconv.decodeStream("win1252")))).join("")];
  },
};
export default {
  async fetch(request) {
    return Response.json(await ways[new URL(request.url).pathname.slice(1)](request));
  },
};
"""
BAD = "invalid signature"
SHOWN = {
    "jsonwebtoken": [["HS256", BAD], ["RS256", BAD], ["PS384", BAD], ["ES256", BAD]],
    "bcryptjs": [True, False],
    "busboy": [["field", "value"], ["file", "a.txt", 200_000]],
    "body-parser": {"a": 1},
    "cookie-signature": ["value", False],
    "csv-parse": [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
    "iconv-lite": ["636166e92080", "caf\u00e9 \u20ac"],
}


def test_packages_of_node(tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(WITH_NODE)
    with_packages(installed(OF_NODE), tmp_path)
    form = b"\r\n".join(
        (
            b'--cut\r\ncontent-disposition: form-data; name="field"\r\n\r\nvalue',
            b'--cut\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            + b"x" * 200_000,
            b"--cut--\r\n",
        )
    )
    headers = {"content-type": "multipart/form-data; boundary=cut"}

    async def main() -> dict[str, object]:
        async with Runtime() as runtime:
            worker = await runtime.load(tmp_path / "worker.js", limits=Limits(cpu_ms=5000, startup_ms=10_000))
            found: dict[str, object] = {}
            for name in SHOWN:
                answer = await worker.fetch(f"/{name}", method="POST", headers=headers, body=form)
                text = await answer.text()
                assert answer.status == 200, (name, text)
                found[name] = json.loads(text)
            return found

    assert asyncio.run(main()) == SHOWN
