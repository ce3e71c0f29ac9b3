// The first script of the engine: keeps the guest's own modules, and answers which functions the engine is to call.
function (modules) {
  "use strict";
  const host = {};
  const names = { encode: "e", decode: "d", jobs: "j", random: "r", now: "n", keyed: "k", hash: "h", chain: "c" };
  for (const [name, letter] of Object.entries(names)) {
    host[name] = globalThis[letter];
    delete globalThis[letter];
  }
  const own = new Map(Object.entries(modules));
  own.set("cloudflare:workers", `export * from "pyworkerd:workers/workers";`);
  const guest = { step: null, load: null, resolve: null, source: null };

  let started = false;

  function isOwn(name) {
    return name.startsWith("pyworkerd:") || name.startsWith("cloudflare:") || !started;
  }

  function start() {
    globalThis.pyworkerd = { host, guest };
    let failure = null;
    import("pyworkerd:entry").catch((error) => {
      failure = error;
    });
    host.jobs(0);
    started = true;
    delete globalThis.pyworkerd;
    if (failure !== null || guest.step === null) {
      const text = failure === null ? "it did not come to its end" : `${failure}\n${failure.stack}`;
      guest.step = () => [JSON.stringify([[], [null, [["crash", `the guest did not start: ${text}`]]]])];
    }
  }

  function step(header, rest) {
    if (guest.step === null) start();
    return guest.step(header, rest);
  }

  function load(header, rest) {
    return guest.load(header, rest);
  }

  // A program sees "cloudflare:" and its own files. Names of the guest's own modules are for these alone.
  function resolve(base, name) {
    if (own.has(name) && (isOwn(base) || name.startsWith("cloudflare:"))) return name;
    return guest.resolve(base, name);
  }

  function source(name) {
    return own.get(name) ?? guest.source(name);
  }

  return [step, load, resolve, source];
}
