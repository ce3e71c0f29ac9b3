// What V8's call sites can be asked and the engine's cannot (https://v8.dev/docs/stack-trace-api), for programs that
// set `Error.prepareStackTrace`: most of what they print is where something was called.

const { prepareStackTrace } = Error;
let prototype = null;
try {
  Error.prepareStackTrace = (_, sites) => {
    prototype = Object.getPrototypeOf(sites[0]);
    return "";
  };
  void new Error("for its stack").stack;
} finally {
  Error.prepareStackTrace = prepareStackTrace;
}

const METHODS = {
  getEvalOrigin() { return undefined; },
  getMethodName() { return null; },
  getPromiseIndex() { return null; },
  getScriptNameOrSourceURL() { return this.getFileName(); },
  getThis() { return undefined; },
  getTypeName() { return null; },
  isAsync() { return false; },
  isConstructor() { return false; },
  isEval() { return false; },
  isPromiseAll() { return false; },
  isToplevel() { return false; },
  toString() {
    const place = `${this.getFileName()}:${this.getLineNumber()}:${this.getColumnNumber()}`;
    return this.getFunctionName() ? `${this.getFunctionName()} (${place})` : place;
  },
};
for (const [name, value] of Object.entries(METHODS)) {
  if (Object.hasOwn(prototype, name)) continue;
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
}
