// What upstream's tests expect of the scope that they run in, and Workers do not have: an address, and paths relative
// to it.

const { Request: NativeRequest, fetch: nativeFetch, URL: NativeURL } = globalThis;

// Upstream's idlharness.js asks what kind of global scope it is in.
class GlobalScope {
  static [Symbol.hasInstance](value) { return value === globalThis; }
}

function completed(input, base) {
  if (input instanceof NativeRequest) return input;
  const text = String(input);
  return NativeURL.canParse(text) ? text : new NativeURL(text, base).href;
}

/** Gives the global scope a `location`, and `fetch` and `Request` the address that relative ones are completed with. */
export function surround(scope, address) {
  const location = new NativeURL(address);
  const { href, origin, protocol, host, hostname, port, pathname, search, hash } = location;
  const fixed = Object.freeze({ href, origin, protocol, host, hostname, port, pathname, search, hash, toString: () => href });
  const Request = new Proxy(NativeRequest, {
    construct(target, rest, made) {
      const given = rest.length === 0 ? rest : [completed(rest[0], href), ...rest.slice(1)];
      return Reflect.construct(target, given, made === Request ? target : made);
    },
  });
  NativeRequest.prototype.constructor = Request;
  const { redirect } = Response;
  Response.redirect = (...rest) =>
    rest.length === 0 ? redirect.call(Response) : redirect.call(Response, completed(rest[0], href), ...rest.slice(1));
  const fetch = (...rest) => {
    try {
      return rest.length === 0 ? nativeFetch() : nativeFetch(completed(rest[0], href), ...rest.slice(1));
    } catch (error) {
      return Promise.reject(error);
    }
  };
  const values = {
    GLOBAL: { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false },
    WorkerGlobalScope: GlobalScope,
    DedicatedWorkerGlobalScope: GlobalScope,
    location: fixed,
    origin,
    isSecureContext: true,
    Request,
    fetch,
    fetch_json: async (path) => (await fetch(path)).json(), // of testharness.js
  };
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(scope, name, { value, writable: true, configurable: true });
  }
}
