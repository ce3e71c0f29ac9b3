// Request.

const bytes = (text) => new TextEncoder().encode(text);

test("a request is a GET unless told otherwise", async () => {
  const request = new Request("http://a.example/b c?d#e");
  equal([request.method, request.url, request.redirect, request.body, request.bodyUsed],
    ["GET", "http://a.example/b%20c?d#e", "follow", null, false]);
  equal([[...request.headers], request.signal.aborted, request.keepalive, request.integrity, request.cf],
    [[], false, false, "", undefined]);
  equal(new Request(new URL("http://a")).url, "http://a/");
});

test("what it is given counts", async () => {
  const request = new Request("http://a", {
    method: "post", headers: { "X-A": "1" }, body: "x", redirect: "manual", cf: { a: 1 }, integrity: "i", keepalive: true,
  });
  equal([request.method, [...request.headers]], ["POST", [["content-type", "text/plain;charset=UTF-8"], ["x-a", "1"]]]);
  equal([request.redirect, request.cf, request.integrity, request.keepalive], ["manual", { a: 1 }, "i", true]);
  equal(await request.text(), "x");
  equal(new Request("http://a", { method: "patch" }).method, "PATCH");
  equal(new Request("http://a", { method: "propFind" }).method, "propFind");
});

test("a request is made of another, whose body it takes", async () => {
  const first = new Request("http://a", { method: "POST", body: "x", headers: { a: "1" } });
  const second = new Request(first, { headers: { b: "2" } });
  equal([first.bodyUsed, second.method, second.headers.get("a"), second.headers.get("b"), await second.text()],
    [true, "POST", null, "2", "x"]);
  const third = new Request("http://a", { method: "POST", body: "x", headers: { a: "1" } });
  const fourth = new Request(third, { body: "y" });
  equal([third.bodyUsed, fourth.headers.get("a"), await fourth.text(), await third.text()], [false, "1", "y", "x"]);
  equal(new Request(new Request("http://a", { headers: { a: "1" } }), {}).headers.get("a"), "1");
});

test("a body that streams goes over too", async () => {
  const first = new Request("http://a", { method: "POST", body: ReadableStream.from([bytes("a"), bytes("b")]), duplex: "half" });
  const second = new Request(first);
  equal([first.bodyUsed, await second.text()], [true, "ab"]);
});

test("clones have bodies and headers of their own", async () => {
  const first = new Request("http://a", { method: "PUT", body: "x", headers: { a: "1" } });
  const copy = first.clone();
  copy.headers.set("a", "2");
  equal([await first.text(), await copy.text(), copy.method, first.headers.get("a")], ["x", "x", "PUT", "1"]);
});

test("a signal is followed", async () => {
  const controller = new AbortController();
  const request = new Request("http://a", { signal: controller.signal });
  const copy = new Request(request);
  const seen = [];
  request.signal.onabort = () => seen.push("request");
  copy.signal.onabort = () => seen.push("copy");
  controller.abort("why");
  equal([seen.toSorted(), request.signal.reason, request.signal === request.signal],
    [["copy", "request"], "why", true]);
  equal(new Request(request, { signal: null }).signal.aborted, false);
});

test("what requests refuse", async () => {
  await fails(() => new Request("/relative"), "Invalid URL");
  await fails(() => new Request(), "TypeError");
  await fails(() => new Request("http://a", { body: "x" }), "GET or HEAD");
  await fails(() => new Request("http://a", { method: "HEAD", body: "x" }), "GET or HEAD");
  await fails(() => new Request("http://a", { method: "a b" }), "TypeError");
  await fails(() => new Request("http://a", { method: "trace" }), "TypeError");
  await fails(() => new Request("http://a", { redirect: "error" }), "TypeError");
  await fails(() => new Request("http://a", { cache: "force-cache" }), "TypeError");
  await fails(() => new Request("http://a", { signal: 1 }), "TypeError");
  await fails(() => new Request("http://a", { headers: { "a b": "1" } }), "TypeError");
  await fails(() => new Request(new Request("http://a", { method: "POST", body: "x" }), { method: "GET" }), "GET or HEAD");
  const used = new Request("http://a", { method: "POST", body: "x" });
  await used.text();
  await fails(() => new Request(used), "already been used");
  await fails(() => Reflect.get(Request.prototype, "url", {}), "TypeError");
});

test("options of browsers are looked at and kept", async () => {
  const usual = new Request("http://a");
  equal([usual.mode, usual.credentials, usual.cache, usual.referrer, usual.referrerPolicy, usual.destination],
    ["cors", "same-origin", "default", "about:client", "", ""]);
  const other = new Request("http://a", {
    mode: "no-cors", credentials: "omit", cache: "no-store", referrer: "http://b", referrerPolicy: "origin", priority: "low",
    window: null, duplex: "half",
  });
  equal([other.mode, other.credentials, other.cache, other.referrer, other.referrerPolicy],
    ["no-cors", "omit", "no-store", "http://b/", "origin"]);
  equal([other.clone().mode, new Request(other).credentials, new Request(other, { credentials: "include" }).mode],
    ["no-cors", "omit", "no-cors"]);
  for (const wrong of [
    { mode: "navigate" }, { credentials: "some" }, { referrer: "/b" }, { referrerPolicy: "all" }, { priority: "first" },
    { duplex: "full" }, { window: "w" }, { mode: "no-cors", method: "PUT" }, { mode: "__proto__" },
  ]) {
    await fails(() => new Request("http://a", wrong), "TypeError");
  }
  await fails(() => new Request("http://me:secret@a"), "Authorization");
});

test("what is refused has used up nothing", async () => {
  const first = new Request("http://a", { method: "POST", body: "x" });
  await fails(() => new Request(first, { method: "GET" }), "TypeError");
  await fails(() => new Request(first, { headers: { "a b": "1" } }), "TypeError");
  equal(await first.text(), "x");
});
