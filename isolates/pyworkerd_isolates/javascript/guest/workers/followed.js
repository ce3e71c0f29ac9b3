// The body of an answer to a request that somebody may abort, by its signal.

import { offAbort, onAbort } from "pyworkerd:web/abort";

/** As a source of `web/body`: of an `Inbound`, or of bytes in hand. The signal, which may live as long as the isolate,
 *  knows of it only while a piece is waited for. */
export class Followed {
  #source;
  #bytes;
  #signal;

  constructor(body, signal) {
    this.#source = body instanceof Uint8Array ? null : body;
    this.#bytes = body instanceof Uint8Array ? body : null;
    this.#signal = signal;
  }

  /** How many bytes there will be, where that is known. */
  get length() { return this.#bytes?.length; }

  /** Throws the reason where it has been aborted. */
  check() {
    if (!this.#signal.aborted) return;
    this.cancel();
    throw this.#signal.reason;
  }

  async read() {
    this.check();
    const signal = this.#signal;
    if (this.#source === null) {
      const bytes = this.#bytes;
      this.#bytes = null;
      return bytes;
    }
    const { promise, resolve, reject } = Promise.withResolvers();
    const stop = (reason) => {
      this.cancel();
      reject(reason);
    };
    onAbort(signal, stop);
    try {
      this.#source.read().then(resolve, reject);
      return await promise;
    } finally {
      offAbort(signal, stop);
    }
  }

  cancel() {
    this.#bytes = null;
    this.#source?.cancel();
  }

  // What has not been read from goes on as it came; who aborts from then on is too late.
  handOn() {
    return this.#source === null || this.#signal.aborted ? null : this.#source.handOn();
  }
}
