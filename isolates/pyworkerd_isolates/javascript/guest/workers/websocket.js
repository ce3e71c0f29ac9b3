// WebSockets: a pair to answer with, and what `fetch()` and `new WebSocket(url)` give.
//
// const [client, server] = Object.values(new WebSocketPair());
// server.accept();
// server.addEventListener("message", (event) => server.send(event.data));
// return new Response(null, { status: 101, webSocket: client });

import { decode, utf8 } from "pyworkerd:system/host";
import { reportUnheard } from "pyworkerd:system/logs";
import { current, needed, run } from "pyworkerd:system/loop";
import { makeWire, PIECE, setReceiver } from "pyworkerd:system/sockets";
import { readValue, writeValue } from "pyworkerd:system/values";
import { makeBlob } from "pyworkerd:web/blob";
import { bytesOf } from "pyworkerd:web/encoding";
import { CloseEvent, dispatchTo, ErrorEvent, Event, EventTarget, getHandler, MessageEvent, setHandler }
  from "pyworkerd:web/events";
import { expose, requireArguments } from "pyworkerd:web/idl";
import { fetch } from "pyworkerd:workers/fetcher";

const MAX_MESSAGE = 32 << 20;
// Bytes of a message (Workers: 32 MiB).
const MAX_WAITING = 1 << 20;
// Bytes that may wait for a slow reader. A message is always taken while none waits, whatever its size.
const MAX_ATTACHMENT = 16384;
// Bytes (Workers: 16 KiB).
const MAX_REASON = 123;
// Bytes of a close's reason (RFC 6455 section 5.5).
const MAKING = Symbol("a WebSocket is made here");
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

let pair, leave, receive;

// One end of a WebSocket. Nothing comes and nothing may be sent before `accept()`.
export class WebSocket extends EventTarget {
  #connecting = false;
  #accepted = false;
  #wire = null;
  #peer = null; // the other end, while both are in this isolate
  #holder = null; // the invocation that lasts as long as it is open
  #ending = null; // code and reason of the close that was asked for
  #end = null; // code and reason of the close that has happened
  #inbox = []; // what the other end of a pair sent before it was accepted here
  #unread = 0;
  #attachment = null;
  #binaryType = "arraybuffer";
  #url = "";
  #protocol = "";

  constructor(url, protocols = undefined) {
    super();
    if (url === MAKING) return;
    requireArguments(arguments.length, 1, "WebSocket constructor");
    needed();
    this.#connecting = true;
    const target = addressOf(url);
    this.#url = target.href;
    this.#connect(target, protocolsOf(protocols));
  }

  static {
    pair = () => {
      const [first, second] = [new WebSocket(MAKING), new WebSocket(MAKING)];
      first.#peer = second;
      second.#peer = first;
      return [first, second];
    };
    leave = (socket, invocation, protocol) => socket.#leave(invocation, protocol);
    setReceiver({
      deliver: (wire, data, cost) => wire.end.#deliver(wire.invocation, data, cost),
      closed: (wire, ...how) => run(wire.invocation, () => wire.end.#closed(...how)),
      broken: (wire, error) => wire.end.#broken(error),
    });
    receive = (wire, url, protocol) => {
      const socket = new WebSocket(MAKING);
      socket.#take(wire, url, protocol);
      return socket;
    };
  }

  get readyState() {
    if (this.#end !== null) return CLOSED;
    if (this.#ending !== null) return CLOSING;
    return this.#connecting ? CONNECTING : OPEN;
  }

  get url() { return this.#url; }
  get protocol() { return this.#protocol; }
  get extensions() { return (this.#url, ""); }
  get binaryType() { return this.#binaryType; }
  set binaryType(value) {
    if (value === "blob" || value === "arraybuffer") this.#binaryType = value;
  }

  // Bytes that wait for a slow reader.
  get bufferedAmount() {
    return this.#wire !== null ? this.#wire.queued : (this.#peer?.#unread ?? 0);
  }

  get onopen() { return getHandler(this, "open"); }
  set onopen(value) { setHandler(this, "open", value); }
  get onmessage() { return getHandler(this, "message"); }
  set onmessage(value) { setHandler(this, "message", value); }
  get onclose() { return getHandler(this, "close"); }
  set onclose(value) { setHandler(this, "close", value); }
  get onerror() { return getHandler(this, "error"); }
  set onerror(value) { setHandler(this, "error", value); }

  // Take messages from now on, here. The other end of a pair may be given away before or after this.
  accept() {
    if (this.#connecting) {
      throw new TypeError("Websockets obtained from the 'new WebSocket()' constructor cannot call accept");
    }
    if (this.#accepted) return;
    if (this.#peer === null && this.#wire === null) {
      throw new TypeError("this end of the WebSocket was given away with a response");
    }
    this.#accepted = true;
    if (this.#wire !== null) this.#wire.accept();
    else queueMicrotask(() => this.#dispatchInbox());
  }

  send(message) {
    requireArguments(arguments.length, 1, "'send' on 'WebSocket'");
    if (this.#connecting) throw new DOMException("the WebSocket is not connected yet", "InvalidStateError");
    if (!this.#accepted) throw new TypeError("call accept() on a WebSocket before sending on it");
    if (this.#ending !== null) throw new TypeError("Can't call WebSocket send() after close().");
    const isText = !ArrayBuffer.isView(message) && !(message instanceof ArrayBuffer);
    const data = isText ? utf8(`${message}`) : bytesOf(message, "send()").slice();
    if (data.length > MAX_MESSAGE) {
      throw new RangeError(`a message of ${data.length} bytes is too large: ${MAX_MESSAGE} is the limit`);
    }
    if (this.#end !== null) return;
    const waits = this.bufferedAmount;
    if (waits > 0 && waits + data.length > MAX_WAITING) {
      throw new RangeError("the other end reads too slowly: look at bufferedAmount before sending more, or close it");
    }
    if (this.#wire !== null) this.#wire.send(data, isText);
    else if (this.#peer !== null) this.#peer.#queue({ data, isText, cost: data.length + PIECE });
  }

  // Close, after what was sent before. Harmless when called again.
  close(code = null, reason = "") {
    const why = `${reason}`;
    const number = code === null ? null : Number(code);
    checkClose(number, why);
    if (this.#ending !== null || this.#end !== null) return;
    if (this.#wire === null && this.#peer === null && !this.#connecting) {
      throw new TypeError("this end of the WebSocket was given away with a response");
    }
    this.#ending = [number, why];
    if (this.#wire !== null) this.#wire.close(number, why);
    else if (this.#peer !== null) this.#peer.#queue(null);
  }

  // Keep a small value with it, as a copy.
  serializeAttachment(value) {
    const data = writeValue(value);
    if (data.length > MAX_ATTACHMENT) {
      throw new RangeError(`an attachment of a WebSocket has at most ${MAX_ATTACHMENT} bytes`);
    }
    this.#attachment = data;
  }

  deserializeAttachment() {
    return this.#attachment === null ? null : readValue(this.#attachment);
  }

  // what comes -------------------------------------------------------------------------------------------------------

  // From the other end of a pair: a message, or null for its close. Listeners run later, not from within `send()`.
  #queue(entry) {
    this.#unread += entry?.cost ?? 0;
    this.#inbox.push(entry);
    if (this.#accepted) queueMicrotask(() => this.#dispatchInbox());
  }

  #dispatchInbox() {
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const entry of inbox) {
      if (entry === null) this.#agree();
      else this.#message(this.#shown(entry), entry.cost);
    }
  }

  #shown({ data, isText }) {
    return isText ? decode(data) : data;
  }

  // The other end of a pair has closed, and this one has nothing against it.
  #agree() {
    const peer = this.#peer;
    if (peer === null) return;
    const [code, reason] = peer.#ending;
    for (const end of [this, peer]) end.#closed(code ?? 1005, reason, true);
  }

  // A whole message from the host, as an event of its own.
  #deliver(invocation, data, cost) {
    invocation.renewLog();
    this.#unread += cost;
    run(invocation, () => this.#message(data, cost));
  }

  // What came could not be taken in.
  #broken(error) {
    this.#report("a message of a WebSocket could not be taken in", error);
    if (this.#ending !== null) return;
    this.#ending = [1009, ""];
    this.#wire.close(1009, "");
  }

  #message(data, cost) {
    if (this.#ending !== null || this.#end !== null) {
      this.#used(cost);
      return;
    }
    let given = data;
    if (typeof data !== "string") {
      const own = data.length === data.buffer.byteLength ? data : data.slice();
      given = this.#binaryType === "blob" ? makeBlob(own, "") : own.buffer;
    }
    this.#dispatch(new MessageEvent("message", { data: given }), cost);
  }

  #used(cost) {
    this.#unread -= cost;
    if (this.#wire !== null && this.#wire.accepted) this.#wire.consumed(cost);
  }

  // What an event costs is given back when the last of its listeners is done, async ones included.
  #dispatch(event, cost) {
    const pending = [];
    dispatchTo(this, event, {
      returned: (value) => value instanceof Promise && pending.push(value),
      failed: (error) => this.#listenerFailed(event, error),
    });
    if (pending.length === 0) {
      this.#used(cost);
      return;
    }
    let left = pending.length;
    const holder = this.#holder;
    const done = () => {
      left -= 1;
      if (left === 0) this.#used(cost);
      holder?.release();
    };
    for (const promise of pending) {
      holder?.hold();
      promise.then(done, (error) => {
        this.#listenerFailed(event, error);
        done();
      });
    }
  }

  // It is logged, and the other end hears 1011: it would wait for what does not come.
  #listenerFailed(event, error) {
    this.#report(`a listener of "${event.type}" on a WebSocket failed`, error);
    if (event.type !== "message") return;
    this.#dispatch(errorEvent(error), 0);
    if (this.#ending === null && this.#end === null) this.close(1011);
  }

  #report(what, error) {
    reportUnheard(this.#holder ?? this.#wire?.invocation ?? current, what, error);
  }

  // It is over, on both ends.
  #closed(code, reason, wasClean, error = new Error(`the WebSocket was closed with ${code}`)) {
    if (this.#end === null) {
      this.#connecting = false;
      this.#end = [code, reason];
      if (!wasClean) this.#dispatch(errorEvent(error), 0);
      this.#dispatch(new CloseEvent("close", { code, reason, wasClean }), 0);
    }
    const holder = this.#holder;
    this.#holder = null;
    holder?.release();
  }

  // who it belongs to ------------------------------------------------------------------------------------------------

  #take(wire, url, protocol) {
    this.#wire = wire;
    wire.end = this;
    this.#url = url;
    this.#protocol = protocol;
  }

  // Give it away with a response: the number that the host knows it by from now on. Its other end, if that is in this
  // isolate, talks to whoever gets it.
  #leave(invocation, protocol) {
    if (this.#wire !== null) {
      if (this.#accepted || !this.#wire.handOn()) {
        throw new TypeError("a WebSocket that has been accepted cannot be given away");
      }
      const { number } = this.#wire;
      this.#wire = null;
      return number;
    }
    const peer = this.#peer;
    if (this.#accepted || this.#ending !== null || peer === null) {
      throw new TypeError("this end of the WebSocket was accepted or given away before");
    }
    const wire = (peer.#wire = makeWire(invocation, peer));
    peer.#peer = this.#peer = null;
    peer.#protocol = protocol;
    peer.#holder = invocation;
    invocation.hold();
    if (peer.#accepted) wire.accept();
    for (const entry of this.#inbox) {
      if (entry === null) wire.close(...peer.#ending);
      else wire.send(entry.data, entry.isText);
    }
    this.#inbox = [];
    this.#unread = 0;
    return wire.number;
  }

  async #connect(target, protocols) {
    let socket;
    try {
      const headers = { upgrade: "websocket" };
      if (protocols.length > 0) headers["sec-websocket-protocol"] = protocols.join(", ");
      const response = await fetch(target.href.replace(/^ws/, "http"), { headers });
      socket = response.webSocket;
      if (socket === null) throw new Error(`the server answered with ${response.status}, not with a WebSocket`);
    } catch (error) {
      this.#closed(1006, "", false, error);
      return;
    }
    const wire = socket.#wire;
    socket.#wire = null;
    this.#take(wire, this.#url, socket.#protocol);
    this.#connecting = false;
    this.#accepted = true;
    wire.accept();
    if (this.#ending !== null) wire.close(...this.#ending);
    else this.#dispatch(new Event("open"), 0);
  }
}
expose(WebSocket, {
  READY_STATE_CONNECTING: CONNECTING,
  CONNECTING,
  READY_STATE_OPEN: OPEN,
  OPEN,
  READY_STATE_CLOSING: CLOSING,
  CLOSING,
  READY_STATE_CLOSED: CLOSED,
  CLOSED,
});

// Two ends of one WebSocket: one to answer with, the other to keep. Or both to keep, for two parts of a program.
export class WebSocketPair {
  constructor() {
    [this[0], this[1]] = pair();
  }

  *[Symbol.iterator]() {
    yield this[0];
    yield this[1];
  }
}

function errorEvent(error) {
  return new ErrorEvent("error", { error, message: String(error?.message ?? error) });
}

function addressOf(url) {
  const target = URL.canParse(url) ? new URL(url) : null;
  if (target === null || !/^(?:ws|http)s?:$/.test(target.protocol) || target.hash !== "") {
    throw new DOMException(`a WebSocket needs a URL of ws: or wss: without a fragment, not ${url}`, "SyntaxError");
  }
  return target;
}

function protocolsOf(given) {
  const protocols = given === undefined ? [] : typeof given === "string" ? [given] : Array.from(given, String);
  if (!protocols.every((each) => TOKEN.test(each)) || new Set(protocols).size < protocols.length) {
    throw new DOMException("a protocol of a WebSocket is a token, and named once", "SyntaxError");
  }
  return protocols;
}

function checkClose(code, reason) {
  if (code === null) {
    if (reason !== "") throw new TypeError("If you specify a WebSocket close reason, you must also specify a code.");
    return;
  }
  const inRange = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
  if (!Number.isInteger(code) || !inRange) throw new TypeError(`Invalid WebSocket close code: ${code}.`);
  if (utf8(reason).length > MAX_REASON) {
    throw new TypeError(`the reason of a close is limited to ${MAX_REASON} bytes`);
  }
}

// For `workers/http`: an end leaves with the answer of an invocation, and one comes with a response.
export { leave, receive };
