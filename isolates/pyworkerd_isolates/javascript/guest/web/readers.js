// ReadableStreamDefaultReader and ReadableStreamBYOBReader.

import { dictionary, expose, illegalInvocation, requireArguments } from "pyworkerd:web/idl";
import { PromisedRead, Reader, cancelStream, read } from "pyworkerd:web/readable_core";
import { ByteController } from "pyworkerd:web/readable_bytes";
import { readableOf } from "pyworkerd:web/readable";

const released = () => new TypeError("This ReadableStream reader has been released.");

export class ReadableStreamDefaultReader {
  #reader;
  constructor(stream) {
    requireArguments(arguments.length, 1, "ReadableStreamDefaultReader constructor");
    this.#reader = new Reader(readableOf(stream), false);
  }

  get closed() { return #reader in Object(this) ? this.#reader.closed() : illegalInvocation(); }

  cancel(reason = undefined) {
    if (!(#reader in Object(this))) return illegalInvocation();
    const { stream } = this.#reader;
    return stream === null ? Promise.reject(released()) : cancelStream(stream, reason);
  }

  read() {
    if (!(#reader in Object(this))) return illegalInvocation();
    if (this.#reader.stream === null) return Promise.reject(released());
    const request = new PromisedRead();
    read(this.#reader, request);
    return request.promise;
  }

  releaseLock() {
    if (this.#reader.stream !== null) this.#reader.release();
  }
}
expose(ReadableStreamDefaultReader);

export class ReadableStreamBYOBReader {
  #reader;
  constructor(stream) {
    requireArguments(arguments.length, 1, "ReadableStreamBYOBReader constructor");
    const inner = readableOf(stream);
    if (!(inner.controller instanceof ByteController)) {
      throw new TypeError("This ReadableStream does not support BYOB reads.");
    }
    this.#reader = new Reader(inner, true);
  }

  get closed() { return #reader in Object(this) ? this.#reader.closed() : illegalInvocation(); }

  cancel(reason = undefined) {
    if (!(#reader in Object(this))) return illegalInvocation();
    const { stream } = this.#reader;
    return stream === null ? Promise.reject(released()) : cancelStream(stream, reason);
  }

  async read(view, options = undefined) {
    requireArguments(arguments.length, 1, "'read' on 'ReadableStreamBYOBReader'");
    return this.#fill(view, Math.trunc(Number(dictionary(options, "read").min ?? 1)));
  }

  /** workerd's: as `read` with `min`. */
  async readAtLeast(minimum, view) {
    requireArguments(arguments.length, 2, "'readAtLeast' on 'ReadableStreamBYOBReader'");
    return this.#fill(view, Math.trunc(Number(minimum)));
  }

  #fill(view, least) {
    if (!ArrayBuffer.isView(view)) throw new TypeError("BYOB read: the argument must be a view of an ArrayBuffer.");
    if (view.byteLength === 0 || view.buffer.byteLength === 0) throw new TypeError("BYOB read: the view is empty.");
    if (view.buffer.detached) throw new TypeError("BYOB read: the view's buffer is detached.");
    if (!(least >= 1)) throw new TypeError("BYOB read: `min` must be at least 1.");
    if (least > (view.length ?? view.byteLength)) throw new RangeError("BYOB read: `min` is more than the view has.");
    const { stream } = this.#reader;
    if (stream === null) throw released();
    stream.disturbed = true;
    if (stream.state === "errored") throw stream.error;
    const request = new PromisedRead();
    stream.controller.pullInto(view, least, request);
    return request.promise;
  }

  releaseLock() {
    if (this.#reader.stream !== null) this.#reader.release();
  }
}
expose(ReadableStreamBYOBReader);
