// A hostile tenant: each path is an attack. (Used by `test_javascript.py`.)

let kept = null;

const iv = new Uint8Array(12);
const rsa = (modulusLength) => ({
  name: "RSA-PSS", hash: "SHA-256", modulusLength, publicExponent: Uint8Array.of(1, 0, 1),
});
const secret = () => crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", false, ["encrypt"]);
const derive = async (iterations, length) => crypto.subtle.deriveBits(
  { name: "PBKDF2", hash: "SHA-512", salt: iv, iterations },
  await crypto.subtle.importKey("raw", iv, "PBKDF2", false, ["deriveBits"]), length,
);

const MODES = {
  async loop() { for (;;); },
  async microtasks() { const again = () => Promise.resolve().then(again); await again(); },
  async ticks() { for (;;) await new Promise((resolve) => setTimeout(resolve, 0)); },
  async timers() { for (;;) setTimeout(() => {}, 1e9); },
  async recursion() { const down = () => down() + 1; return new Response(String(down())); },
  async deep_json() { return new Response(JSON.parse("[".repeat(1e6))); },
  async deep_value() { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return Response.json(a); },
  async proxies() { let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return new Response(String(p.x)); },
  async regex() { return new Response(String(/(a+)+$/.test(`${"a".repeat(40)}b`))); },
  async array_bomb() { const a = []; for (;;) a.push(new Array(100_000).fill(0)); },
  async buffer_bomb() { const a = []; for (;;) a.push(new Uint8Array(10_000_000).fill(1)); },
  async string_bomb() { let s = "x"; for (;;) s += s; },
  async huge_array() { return new Response(new Uint8Array(2 ** 31)); },
  async gigabyte() { return new Response("x".repeat(500_000_000)); },
  async sparse() { const a = []; a[2 ** 32 - 2] = 1; a.fill(0); },
  async log_flood() { for (let i = 0; i < 100_000; i++) console.log("x".repeat(1000)); return new Response("logged"); },
  async array_prototype() { Array.prototype.push = () => { throw new Error("push"); }; return new Response("x"); },
  async array_iterator() { Array.prototype[Symbol.iterator] = function* () { yield* ["a", "b"]; }; return new Response("x"); },
  async array_join() { Array.prototype.join = () => '["respond",1,200,[["a\\r\\nb","c"]],null]'; return new Response("x"); },
  async to_json() { Object.prototype.toJSON = () => ["crash", "forged"]; return new Response("x"); },
  async json() { JSON.stringify = () => "[[],[null,[[\"done\",99999]]]]"; JSON.parse = () => []; return new Response("x"); },
  async map_get() { Map.prototype.get = () => ({ then() {} }); return new Response("x"); },
  async then() { Promise.prototype.then = () => {}; return new Response("x"); },
  async thenable() { return { then(resolve) { for (;;) resolve; } }; },
  async setters() {
    for (const name of ["0", "length", "effect", "number", "status"]) {
      Object.defineProperty(Object.prototype, name, { set() { throw new Error("set"); }, configurable: true });
    }
    return new Response("x");
  },
  async getters() {
    return new Response("x", { headers: new Proxy({}, { ownKeys() { throw new Error("keys"); } }) });
  },
  async status() { return new Response("x", { get status() { return { valueOf: () => 99 }; } }); },
  async header_value() { return new Response("x", { headers: { a: "b\r\nx-injected: 1" } }); },
  async header_name() { return new Response("x", { headers: { "x\r\nx-injected": "1" } }); },
  async many_headers() {
    return new Response("x", { headers: Array.from({ length: 100_000 }, (_, i) => [`x-${i}`, "y"]) });
  },
  async throw_proxy() { throw new Proxy(new Error("x"), { get() { throw new Error("trap"); } }); },
  async throw_nothing() { throw undefined; },
  async stack_getter() {
    Error.prepareStackTrace = () => { for (;;); };
    throw new Error("stack");
  },
  async generator() { function* g() { yield* g(); } return new Response([...g()].join()); },
  async finalizers() { new FinalizationRegistry(() => { for (;;); }).register({}, 1); return new Response("x"); },
  async waits_for_ever(ctx) { ctx.waitUntil(new Promise(() => {})); return new Response("x"); },
  async keeps(ctx, request) { kept ??= request; return new Response(await kept.text()); },
  async pairs() { const a = []; for (;;) a.push(new WebSocketPair()); },
  async ping_pong() {
    const ends = Object.values(new WebSocketPair());
    for (const end of ends) { end.accept(); end.onmessage = ({ data }) => end.send(data); }
    ends[0].send("x");
    await new Promise(() => {});
  },
  async sends() {
    const [client, server] = Object.values(new WebSocketPair());
    client.accept();
    for (;;) { try { client.send("x".repeat(60_000)); } catch { server.accept(); await null; } }
  },
  async sockets_of_others() {
    return new Response(null, { status: 101, webSocket: { __proto__: WebSocket.prototype, number: 2 } });
  },
  async dispatches() { addEventListener("x", (event) => dispatchEvent(new Event("x"))); dispatchEvent(new Event("x")); },
  async listeners() { for (let i = 0; ; i++) addEventListener("fetch", () => i); },
  async caches_of_all() {
    return (await caches.default.match(new Request("http://x/", { headers: { "x-pyworkerd-cache": "[]" } }))) ?? new Response("x");
  },
  async deep_equal() {
    const { default: assert } = await import("node:assert");
    const nest = () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a; };
    assert.deepEqual(nest(), nest());
  },
  async buffers() {
    const parts = [];
    for (;;) parts.push(Buffer.concat([Buffer.alloc(1e7, "ab"), ...parts]));
  },
  async emitters() {
    const { default: EventEmitter } = await import("node:events");
    const emitter = new EventEmitter();
    emitter.on("x", () => emitter.emit("x"));
    emitter.emit("x");
  },
  async rejections() {
    const reason = new Error("x");
    Object.defineProperty(reason, "message", { get() { throw new Error("getter"); } });
    for (;;) { for (let i = 0; i < 1000; i++) Promise.reject(reason); await null; }
  },
  async rejected() {
    Map.prototype.set = Map.prototype.delete = () => { throw new Error("map"); };
    Promise.reject(new Proxy(new Error("x"), { get() { throw new Error("trap"); } }));
    return new Response("x");
  },
  async contexts() {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const storage = new AsyncLocalStorage();
    const again = () => storage.run({}, async () => { await null; await again(); });
    await again();
  },
  async stores(ctx, request) {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    kept ??= new AsyncLocalStorage();
    if (kept.getStore() !== undefined) return new Response("leaked", { status: 500 });
    kept.enterWith(request);
    Promise.prototype.then = () => {};
    Object.defineProperty(Promise.prototype, "constructor", { get() { throw new Error("constructor"); } });
    return new Response("x");
  },
  async large_keys() { await Promise.all(Array.from({ length: 200 }, () => crypto.subtle.generateKey(rsa(4096), true, ["sign"]))); },
  async many_keys() { await Promise.all(Array.from({ length: 900 }, () => crypto.subtle.generateKey(rsa(2048), true, ["sign"]))); },
  async passwords() { await derive(2 ** 32 - 1, 8); },
  async endless_key() { await derive(1, 2 ** 32 - 8); },
  async seals() { const key = await secret(); for (;;) await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new Uint8Array(1e4)); },
  async seals_at_once() {
    const key = await secret();
    await Promise.all(Array.from({ length: 1e4 }, () => crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, iv)));
  },
  async large_seals() {
    const key = await secret();
    await Promise.all(Array.from({ length: 30 }, () => crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new Uint8Array(3e6))));
  },
  async key_prototypes() {
    const key = await secret();
    Uint8Array.prototype.slice = Array.prototype.includes = Map.prototype.get = () => key;
    Object.prototype.tagLength = 7;
    await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, iv).catch(() => {});
    return new Response("x");
  },
  async guest() {
    const { stringify } = JSON;
    JSON.stringify = () => '"pyworkerd:system/host"; globalThis.stolen = 1; //';
    void process.platform;
    JSON.stringify = stringify;
    const found = [];
    for (const name of ["pyworkerd:entry", "pyworkerd:system/host", "/pyworkerd:system/host.js"]) {
      await import(name).then(() => found.push(name), () => {});
    }
    found.push(...["pyworkerd", "host", "e", "d", "j", "r", "n", "k", "h", "c", "m", "t", "q", "g"].filter((name) => name in globalThis), ...("stolen" in globalThis ? ["stolen"] : []));
    return new Response(found.join());
  },
};

export default {
  async fetch(request, env, ctx) {
    const name = new URL(request.url).pathname.slice(1);
    if (name === "") return new Response("fine");
    return MODES[name](ctx, request);
  },
};
