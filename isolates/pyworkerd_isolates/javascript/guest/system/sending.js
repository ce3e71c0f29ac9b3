// Bodies on their way out: in an effect as a whole, as a stream, or handed on as they came.

import { reportUnheard } from "pyworkerd:system/logs";
import { blob, room } from "pyworkerd:system/outbox";
import { Outbound, WINDOW } from "pyworkerd:system/streams";
import { utf8 } from "pyworkerd:system/host";

// How a body (of `web/body`, claimed) is named in an effect, as JSON; and what sends the rest of it, or null.
export function effectOf(invocation, body) {
  if (body === null) return { effect: "null", pump: null };
  if (body.source !== null) {
    const number = body.source.handOn?.() ?? null;
    if (number !== null) return { effect: `["p",${number}]`, pump: null };
    return streamed(invocation, body.length, (outbound) => pumpSource(outbound, body.source));
  }
  if (body.stream !== null) return streamed(invocation, body.length, (outbound) => pumpStream(outbound, body.stream));
  const bytes = body.bytes ?? utf8(body.text);
  if (bytes.length <= Math.min(WINDOW, room())) return { effect: `["b",${blob(bytes)}]`, pump: null };
  return streamed(invocation, bytes.length, (outbound) => outbound.write(bytes));
}

function streamed(invocation, length, write) {
  const outbound = new Outbound(invocation);
  const effect = `["s",${outbound.number},${length === undefined ? "null" : length}]`;
  return { effect, pump: { outbound, write } };
}

// Send the rest of a body; the invocation waits for it.
export function pumpFor(invocation, pump) {
  invocation.hold();
  invocation.setOf("pumps").add(pump.outbound);
  run(invocation, pump);
}

async function run(invocation, { outbound, write }) {
  try {
    await write(outbound);
    outbound.finish();
  } catch (error) {
    if (!outbound.stopped) {
      outbound.fail("the worker failed while it wrote this body");
      reportUnheard(invocation, "a streamed body failed", error);
    }
  } finally {
    invocation.pumps.delete(outbound);
    invocation.release();
  }
}

async function pumpSource(outbound, source) {
  outbound.onStop = () => source.cancel();
  for (;;) {
    const bytes = await source.read();
    if (bytes === null) return;
    await outbound.write(bytes);
  }
}

// A body (of `web/body`, claimed) that streams beside a value. A stream of the program's is locked from now on.
export class Streamed {
  #body;
  #reader = null;
  #pump = null;

  constructor(body) {
    this.#body = body;
    if (body.source === null) this.#reader = body.stream.getReader();
  }

  // How the value's effect names it.
  refer(invocation) {
    const { source, length } = this.#body;
    const number = source?.handOn?.() ?? null;
    if (number !== null) return ["p", number];
    const outbound = new Outbound(invocation);
    const write = source === null ? () => pumpReader(outbound, this.#reader) : () => pumpSource(outbound, source);
    this.#pump = { outbound, write };
    return ["s", outbound.number, length ?? null];
  }

  // The effect is out.
  start(invocation) {
    if (this.#pump !== null) pumpFor(invocation, this.#pump);
  }

  // The body itself: it stays here.
  back() {
    this.#reader?.releaseLock();
    return this.#body;
  }

  // It goes nowhere.
  cancel(reason) {
    if (this.#reader === null) this.#body.source.cancel(reason);
    else this.#reader.cancel(reason).catch(() => {});
  }
}

function pumpStream(outbound, stream) {
  return pumpReader(outbound, stream.getReader());
}

async function pumpReader(outbound, reader) {
  const cancel = (reason) => reader.cancel(reason).catch(() => {});
  outbound.onStop = () => cancel(new TypeError("the reader of this body has gone"));
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    if (!(value instanceof Uint8Array)) {
      const error = new TypeError("a body is a stream of Uint8Arrays, and this one has something else in it");
      cancel(error);
      throw error;
    }
    await outbound.write(value);
  }
}

