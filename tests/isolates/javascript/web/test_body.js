// What the host makes of bodies, and what it gets: sources, streams, bytes and texts.

const body = () => import("pyworkerd:web/body");
const bytes = (text) => new TextEncoder().encode(text);

function source(...chunks) {
  const log = [];
  return {
    log,
    async read() {
      log.push("read");
      return chunks.length === 0 ? null : bytes(chunks.shift());
    },
    cancel(reason) { log.push(["cancel", reason]); },
  };
}

async function respond(from, length) {
  const { bodyOfSource } = await body();
  const { makeResponse } = await import("pyworkerd:web/response");
  return makeResponse(200, "OK", [["a", "1"], ["set-cookie", "x"], ["set-cookie", "y"]], bodyOfSource(from, length), "http://a/");
}

const takeResponse = async (response) => (await import("pyworkerd:web/response")).takeResponse(response);

test("a source is read without a stream", async () => {
  const from = source("a", "b");
  const response = await respond(from);
  equal([response.url, response.statusText, response.headers.getSetCookie()], ["http://a/", "OK", ["x", "y"]]);
  equal(from.log, []);
  equal(await response.text(), "ab");
  equal([from.log, response.bodyUsed], [["read", "read", "read"], true]);
  await fails(() => response.headers.set("a", "2"), "immutable");
});

test("a source is a stream when somebody asks", async () => {
  const from = source("a", "b");
  const chunks = await Array.fromAsync((await respond(from)).body);
  equal(chunks.map((chunk) => new TextDecoder().decode(chunk)), ["a", "b"]);
  const other = source("a");
  await (await respond(other)).body.cancel("why");
  equal(other.log, [["cancel", "why"]]);
});

test("what nobody has read goes back as it came", async () => {
  const from = source("a");
  const taken = await takeResponse(await respond(from, 1));
  equal([taken.body.source === from, taken.body.length, taken.status], [true, 1, 200]);
  const first = await respond(from, 1);
  const second = new Response(first.body, first);
  const again = await takeResponse(second);
  equal([again.body.source === from, again.body.stream, again.body.length, first.bodyUsed], [true, null, 1, true]);
  equal(from.log, []);
});

test("what somebody has begun to read is a stream", async () => {
  const response = await respond(source("a", "b"));
  const reader = response.body.getReader();
  await reader.read();
  reader.releaseLock();
  await fails(takeResponse(response), "already been used");
  const other = await respond(source("a", "b"));
  const piped = await takeResponse(new Response(other.body.pipeThrough(new IdentityTransformStream())));
  equal(piped.body.stream instanceof ReadableStream, true);
});

test("texts and bytes go out as they are", async () => {
  const text = await takeResponse(new Response("é"));
  equal([text.body.text, text.body.bytes, text.pairs], ["é", null, [["content-type", "text/plain;charset=UTF-8"]]]);
  const raw = await takeResponse(new Response(bytes("é"), { headers: { "X-A": "1" } }));
  equal([raw.body.bytes, raw.body.length, raw.pairs], [[195, 169], 2, [["x-a", "1"]]]);
  equal((await takeResponse(new Response())).body, null);
  const fixed = new FixedLengthStream(5);
  equal((await takeResponse(new Response(fixed.readable))).body.length, 5);
  const response = new Response("x");
  await takeResponse(response);
  await fails(response.text(), "already been used");
});

test("requests come and go the same way", async () => {
  const { makeRequest, takeRequest } = await import("pyworkerd:web/request");
  const { bodyOfBytes } = await body();
  const pairs = [["host", "a"], ["content-type", "application/json"]];
  const request = makeRequest("POST", "http://a/b", pairs, bodyOfBytes(bytes("{}")), { colo: "X" });
  equal([request.method, request.url, request.redirect, request.cf, request.headers.get("host")],
    ["POST", "http://a/b", "manual", { colo: "X" }, "a"]);
  const taken = takeRequest(request);
  equal([taken.body.bytes, taken.pairs, taken.signal], [[123, 125], pairs, null]);
  await fails(request.json(), "already been used");
  const controller = new AbortController();
  const other = takeRequest(new Request("http://a", { signal: controller.signal, redirect: "manual" }));
  equal([other.signal === controller.signal, other.redirect, other.body], [true, "manual", null]);
});

test("a source that fails fails whoever reads", async () => {
  const broken = () => ({ read: async () => { throw new TypeError("lost"); }, cancel() {} });
  await fails((await respond(broken())).text(), "lost");
  await fails((await respond(broken())).body.getReader().read(), "lost");
});

test("clones of a source share what it gives", async () => {
  const from = source("a", "b");
  const response = await respond(from);
  const copy = response.clone();
  equal(await Promise.all([response.text(), copy.text()]), ["ab", "ab"]);
  equal(from.log.length, 3);
});

test("what a program adds to Object.prototype does not come between", async () => {
  const stream = new ReadableStream({ start(c) { c.enqueue(bytes("z")); c.close(); } });
  const texts = [];
  for (const response of [new Response("x"), new Response(bytes("y")), new Response(stream)]) {
    const intrude = (done) => {
      delete Object.prototype.then;
      done({ bytes: bytes("other") });
    };
    Object.defineProperty(Object.prototype, "then", { value: intrude, configurable: true });
    const text = response.text();
    await text;
    delete Object.prototype.then;
    texts.push(await text);
  }
  equal(texts, ["x", "y", "z"]);
});
