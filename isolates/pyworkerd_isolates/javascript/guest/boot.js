// The first script of the engine: keeps the guest's own modules, and answers which functions the engine is to call.
function (modules, later, functions) {
  "use strict";
  const host = {};
  for (const [letter, name] of Object.entries(functions)) {
    host[name] = globalThis[letter];
    delete globalThis[letter];
  }
  const own = new Map(Object.entries(modules));
  own.set("cloudflare:workers", `export * from "pyworkerd:workers/workers";`);
  own.set("@cloudflare/workers-types", `export * from "pyworkerd:workers/by_name";`);
  const entries = ["pyworkerd:entry", "pyworkerd:objects/entry"].filter((name) => own.has(name));
  const guest = {
    step: null, fetch: null, rpc: null, finish: null, init: null, load: null, resolve: null, source: null,
    rejected: null, authorize: null,
  };
  Object.assign(guest, { ownName, ofNode });

  let started = false;

  function isOwn(name) {
    return /^(?:pyworkerd:|cloudflare:|@cloudflare\/)/.test(name) || !started;
  }

  function start() {
    // Texts that most requests count references to, made side by side: each would have a page of its own copied into
    // every isolate. `python -m pyworkerd_bench.experiments.javascript_steps` tells which they are.
    guest.texts = [
      " ", ",", "[", "]", "[[", "],", "],[", ",[", "]]]", '["b",', '["done",', '["respond",', '["return",',
      '["result",', "worker", "outbound", "cache", "crypto", "log_bytes", "init", "focus", "fetch", "rpc", "props",
      "ctx", "env", "instance", "isClass", "over", "answered", "timers", "bodies",
      "calls", "invocation", "number", "method", "url", "headers", "body", "redirect", "manual", "follow", "rest",
      "status", "made", "pairs", "type", "locked", "text", "bytes", "used", "shared", "effect", "pump",
      "content-type", "text/plain;charset=UTF-8", "application/json", "set-cookie", "automatic",
      "Response constructor", "blobs", "$", "_", "when", "order", "callback",
      "scheme", "username", "password", "host", "port", "path", "query", "fragment", "opaque", "http", "https", "xn--",
    ];
    globalThis.pyworkerd = { host, guest };
    let failure = null;
    for (const name of entries) {
      import(name).catch((error) => {
        failure ??= error;
      });
    }
    host.jobs(0);
    started = true;
    delete globalThis.pyworkerd;
    if (failure !== null || guest.step === null) {
      const text = failure === null ? "it did not come to its end" : `${failure}\n${failure.stack}`;
      guest.step = guest.finish = () => crashed(`the guest did not start: ${text}`);
      guest.init = guest.fetch = guest.rpc = () => {};
    }
  }

  function crashed(text) {
    return [null, [JSON.stringify(["crash", text])], [], [], 1, 0, 0];
  }

  function step(header, rest) {
    if (guest.step === null) start();
    return guest.step(header, rest);
  }

  // A request without a body for the default entrypoint, which is most of what steps are for: its header fields are a
  // text of JSON. `finish` ends a step that such requests began.
  function fetch(number, method, url, headers) {
    guest.fetch(number, method, url, headers);
  }

  // A call with simple arguments, which are a list, or bytes where that cannot be read; `name` is the entrypoint's.
  function rpc(number, method, given, name) {
    guest.rpc(number, method, given, name);
  }

  // The event as a text of JSON.
  function init(event) {
    guest.init(event);
  }

  function finish() {
    return guest.finish();
  }

  function load(header, rest) {
    return guest.load(header, rest);
  }

  // The module that every program has by this name, of Cloudflare or (with or without "node:") of Node.js.
  function ownName(name) {
    if (name.startsWith("cloudflare:") || name.startsWith("@cloudflare/")) return own.has(name) ? name : undefined;
    const node = `pyworkerd:node/${name.startsWith("node:") ? name.slice(5) : name}`;
    return placeOf(node) === undefined ? undefined : node;
  }

  // Names of the modules that are of Node.js.
  function ofNode() {
    return [...later.matchAll(/\npyworkerd:node\/(\S+)/g)].map(([, name]) => name);
  }

  // A program sees those and its own files. Names of the guest's own modules are for these alone.
  function resolve(base, name) {
    if (isOwn(base) && (own.has(name) || placeOf(name) !== undefined)) return name;
    return ownName(name) ?? guest.resolve(base, name);
  }

  // Where the text of a module that few programs import is among the engine's constants, and its size.
  function placeOf(name) {
    const at = /\s/.test(name) ? -1 : later.indexOf(`\n${name} `);
    return at < 0 ? undefined : later.slice(at + name.length + 2, later.indexOf("\n", at + 1)).split(" ");
  }

  // The engine asks once for each: what it has got need not be part of an image.
  function source(name) {
    const text = own.get(name);
    if (text !== undefined) {
      own.set(name, "");
      return text;
    }
    const place = name.startsWith("pyworkerd:") ? placeOf(name) : undefined;
    return place === undefined ? guest.source(name) : host.decode(host.table(Number(place[0]), Number(place[1])));
  }

  // Where SQLite is inside: whether a statement may do something.
  function authorize(action, first, second) {
    return guest.authorize(action, first, second);
  }

  // A promise was rejected, with a reason that nobody has heard; or somebody has heard it now.
  function rejected(promise, ...reason) {
    guest.rejected?.(promise, ...reason);
  }

  // Calls are too many levels deep: what is thrown.
  function tooDeep() {
    return new RangeError("Maximum call stack size exceeded");
  }

  queueMicrotask(() => {}); // by which the engine finds the queue of jobs
  // By these the engine knows functions of their kinds.
  const kinds = [async () => {}, function* () {}, async function* () {}, Array.prototype.toString];

  return [step, load, resolve, source, rejected, tooDeep, ...kinds, fetch, finish, init, rpc, authorize];
}
