// Queues: a queue on `env` to send to, and what a `queue` handler is given.

import { readValue, writeValue } from "pyworkerd:system/values";
import { addEventKind } from "pyworkerd:workers/background";
import { Capability } from "pyworkerd:workers/capability";

export class Queue extends Capability {
  async send(body, options = {}) {
    await Capability.call(this, "send", [messageOf(body, options?.contentType, options?.delaySeconds)]);
  }

  // Keep several, all or none: each with its `body`, and options of its own.
  async sendBatch(messages, options = {}) {
    const drafts = Array.from(messages, (each) =>
      messageOf(each.body, each.contentType, each.delaySeconds ?? options?.delaySeconds),
    );
    await Capability.call(this, "sendBatch", drafts);
  }

  async metrics() {
    const [backlogCount, backlogBytes, oldest] = await Capability.call(this, "metrics");
    return { backlogCount, backlogBytes, oldestMessageTimestamp: oldest === null ? null : new Date(oldest * 1000) };
  }
}

function messageOf(body, contentType = "json", delay = null) {
  let given = body;
  if (contentType === "text" && typeof given !== "string") {
    throw new TypeError(`a body of the content type "text" has to be a string, not ${typeof given}`);
  }
  if (contentType === "bytes" && !ArrayBuffer.isView(given) && !(given instanceof ArrayBuffer)) {
    throw new TypeError(`a body of the content type "bytes" has to be bytes, not ${typeof given}`);
  }
  if (contentType === "json") {
    const text = JSON.stringify(given);
    if (text === undefined) throw new TypeError(`JSON has no ${typeof given}`);
    given = JSON.parse(text); // what JSON cannot say is refused here, where it is sent
  }
  return [writeValue(given), contentType, delay];
}

// The first word about a message counts: `ack` or `retry`.
class Message {
  #data;
  #body;
  verdict = null;

  constructor(batch, number, timestamp, attempts, data) {
    Object.defineProperty(this, "verdict", { enumerable: false });
    this.id = BigInt(number).toString(16).padStart(32, "0");
    this.timestamp = new Date(timestamp);
    this.attempts = attempts;
    this.#data = data;
    Object.defineProperty(this, "batch", { value: batch, enumerable: false });
  }

  get body() {
    if (this.#data !== null) {
      this.#body = readValue(this.#data);
      this.#data = null;
    }
    return this.#body;
  }

  ack() {
    if (this.verdict === null && this.batch.verdict === null) this.verdict = "ack";
  }

  retry(options = {}) {
    const open = this.verdict === null && this.batch.verdict === null;
    if (open || Array.isArray(this.verdict)) this.verdict = [options?.delaySeconds ?? null];
  }
}

// If the handler returns, what it said nothing about is done; if it throws, that comes again.
class MessageBatch {
  verdict = null;

  constructor(event) {
    Object.defineProperty(this, "verdict", { enumerable: false });
    this.queue = event.queue;
    this.messages = event.messages.map(
      ([number, sent, attempts, , body]) => new Message(this, number, sent, attempts, body),
    );
  }

  ackAll() {
    if (this.verdict === null) this.verdict = "ack";
  }

  retryAll(options = {}) {
    if (this.verdict === null || Array.isArray(this.verdict)) this.verdict = [options?.delaySeconds ?? null];
  }
}

addEventKind("queue", (event) => {
  const given = new MessageBatch(event);
  const outcome = (failed) => {
    const said = given.messages.map((message, place) => [event.messages[place][0], message.verdict]);
    return {
      failed,
      all: given.verdict,
      acks: said.filter(([, verdict]) => verdict === "ack").map(([number]) => number),
      retries: said.filter(([, verdict]) => Array.isArray(verdict)).map(([number, [delay]]) => [number, delay]),
    };
  };
  return { given, outcome: () => outcome(false), failed: () => outcome(true) };
});
