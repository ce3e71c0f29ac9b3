// Response, and bodies of every kind.

const stream = (...chunks) => ReadableStream.from(chunks);
const bytes = (text) => new TextEncoder().encode(text);

test("a response is ok unless told otherwise", async () => {
  const response = new Response("hello");
  equal([response.status, response.ok, response.statusText, response.type, response.url, response.redirected],
    [200, true, "", "default", "", false]);
  equal([...response.headers], [["content-type", "text/plain;charset=UTF-8"]]);
  equal([response.bodyUsed, await response.text(), response.bodyUsed], [false, "hello", true]);
});

test("an empty response has no body", async () => {
  const response = new Response();
  equal([response.body, [...response.headers], await response.text(), response.bodyUsed], [null, [], "", false]);
  equal((await new Response(null, { status: 204 }).arrayBuffer()).byteLength, 0);
});

test("what it is given counts", async () => {
  const response = new Response("x", { status: 404, statusText: "Nowhere", headers: { "Content-Type": "a/b", "X-A": "1" } });
  equal([response.status, response.ok, response.statusText], [404, false, "Nowhere"]);
  equal([...response.headers], [["content-type", "a/b"], ["x-a", "1"]]);
  const again = new Response("y", response);
  equal([again.status, again.headers.get("x-a"), again.headers.get("content-type")], [404, "1", "a/b"]);
  again.headers.set("x-a", "2");
  equal(response.headers.get("x-a"), "1");
});

test("every kind of body is read in every way", async () => {
  const make = [
    () => "é{}".slice(1),
    () => bytes("{}"),
    () => bytes("x{}x").subarray(1, 3),
    () => bytes("{}").buffer,
    () => new DataView(bytes("{}").buffer),
    () => new Blob(["{}"]),
    () => stream(bytes("{"), bytes("}")),
    () => ({ toString: () => "{}" }),
  ];
  for (const each of make) {
    equal(await new Response(each()).text(), "{}");
    equal(await new Response(each()).json(), {});
    equal([...(await new Response(each()).bytes())], [123, 125]);
    equal((await new Response(each()).arrayBuffer()).byteLength, 2);
    equal(await (await new Response(each()).blob()).text(), "{}");
    equal(await Array.fromAsync(new Response(each()).body.pipeThrough(new TextDecoderStream())).then((all) => all.join("")), "{}");
  }
});

test("a body's type follows from what it is", async () => {
  const type = (body) => new Response(body).headers.get("content-type");
  equal(type(new URLSearchParams("a=1")), "application/x-www-form-urlencoded;charset=UTF-8");
  equal(type(new Blob(["x"], { type: "a/b" })), "a/b");
  equal([type(new Blob(["x"])), type(bytes("x")), type(stream())], [null, null, null]);
  equal((await new Response("x", { headers: { "content-type": "c/d" } }).blob()).type, "c/d");
});

test("a body can be used once", async () => {
  for (const body of ["x", bytes("x"), stream(bytes("x")), new Blob(["x"])]) {
    const response = new Response(body);
    await response.text();
    equal(response.bodyUsed, true);
    await fails(response.text(), "TypeError", "already been used");
    await fails(() => response.clone(), "TypeError");
  }
  const text = new Response("x");
  await text.text();
  equal(text.body.locked, true);
  await fails(() => text.body.getReader(), "locked");
});

test("a locked body cannot be used", async () => {
  const response = new Response("x");
  const reader = response.body.getReader();
  equal(response.bodyUsed, false);
  await fails(response.text(), "locked");
  await fails(() => response.clone(), "locked");
  reader.releaseLock();
  equal(await response.text(), "x");
});

test("`body` is one stream", async () => {
  const response = new Response("hello");
  equal(response.body === response.body, true);
  equal((await response.body.getReader({ mode: "byob" }).read(new Uint8Array(8))).value, [104, 101, 108, 108, 111]);
  equal(response.bodyUsed, true);
  const source = stream(bytes("x"));
  equal(new Response(source).body === source, true);
});

test("clones have the same content and headers of their own", async () => {
  for (const body of ["text", bytes("text"), stream(bytes("te"), bytes("xt"))]) {
    const response = new Response(body, { status: 201, headers: { a: "1" } });
    const copy = response.clone();
    copy.headers.set("a", "2");
    const [first, second] = [await response.bytes(), await copy.bytes()];
    first[0] = 0;
    equal([new TextDecoder().decode(second), copy.status, response.headers.get("a")], ["text", 201, "1"]);
  }
});

test("a byte order mark is dropped and lone surrogates are replaced", async () => {
  equal(await new Response("\ufeffa\ud800").text(), "a\ufffd");
  equal(await new Response(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).text(), "a");
});

test("the bytes that a response was made of may change", async () => {
  const given = bytes("abc");
  const response = new Response(given);
  given[0] = 0;
  equal(await response.text(), "abc");
});

test("JSON, redirects and errors have makers", async () => {
  const json = Response.json({ a: [1] }, { status: 201, headers: { b: "2" } });
  equal([json.status, [...json.headers], await json.json()], [201, [["b", "2"],
    ["content-type", "application/json"]], { a: [1] }]);
  equal(Response.json(1).headers.get("content-type"), "application/json");
  equal(Response.json({}, { headers: { "content-type": "x/y" } }).headers.get("content-type"), "x/y");
  const redirect = Response.redirect("http://a/b?é", 301);
  equal([redirect.status, redirect.headers.get("location")], [301, "http://a/b?%C3%A9"]);
  await fails(() => redirect.headers.set("location", "x"), "immutable");
  equal(Response.redirect("http://a").status, 302);
  const error = Response.error();
  equal([error.type, error.status, error.body], ["error", 0, null]);
});

test("what responses refuse", async () => {
  await fails(() => new Response("x", { status: 199 }), "RangeError");
  await fails(() => new Response("x", { status: 600 }), "RangeError");
  await fails(() => new Response("x", { status: 101 }), "RangeError");
  await fails(() => new Response("x", { status: 204 }), "TypeError");
  await fails(() => new Response("x", { statusText: "a\nb" }), "TypeError");
  await fails(() => new Response("x", 5), "TypeError");
  await fails(() => Response.json(undefined), "TypeError");
  await fails(() => Response.redirect("/relative"), "TypeError");
  await fails(() => Response.redirect("http://a", 200), "RangeError");
  await fails(new Response("{").json(), "SyntaxError");
  await fails(new Response(stream("text")).text(), "TypeError");
  await fails(new Response(new ReadableStream({ pull() { throw new Error("broken"); } })).text(), "broken");
  await fails(Response.prototype.text.call({}), "TypeError");
  const used = stream(bytes("x"));
  used.getReader();
  await fails(() => new Response(used), "locked");
});
