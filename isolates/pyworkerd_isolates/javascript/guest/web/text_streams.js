// TextEncoderStream and TextDecoderStream (https://encoding.spec.whatwg.org/#interface-textencoderstream).

import { TextDecoder, bytesOf } from "pyworkerd:web/encoding";
import { expose } from "pyworkerd:web/idl";
import { makeTransform } from "pyworkerd:web/transform";
import { encode } from "pyworkerd:web/utf8";

export class TextEncoderStream {
  #inner = makeTransform((enqueue) => {
    let high = ""; // half of a pair, whose other half the next chunk may begin with
    return {
      transform(chunk) {
        let text = high + `${chunk}`;
        high = /[\ud800-\udbff]$/.test(text) ? text.at(-1) : "";
        if (high !== "") text = text.slice(0, -1);
        if (text !== "") enqueue(encode(text));
      },
      flush() {
        if (high !== "") enqueue(encode(high));
      },
    };
  });
  get encoding() { return (this.#inner, "utf-8"); }
  get readable() { return this.#inner.readable; }
  get writable() { return this.#inner.writable; }
}
expose(TextEncoderStream);

export class TextDecoderStream {
  #decoder;
  #inner;
  constructor(label = "utf-8", options = undefined) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#inner = makeTransform((enqueue) => {
      const give = (text) => {
        if (text !== "") enqueue(text);
      };
      return {
        transform: (chunk) => give(decoder.decode(bytesOf(chunk, "TextDecoderStream"), { stream: true })),
        flush: () => give(decoder.decode()),
      };
    });
  }
  get encoding() { return this.#decoder.encoding; }
  get fatal() { return this.#decoder.fatal; }
  get ignoreBOM() { return this.#decoder.ignoreBOM; }
  get readable() { return this.#inner.readable; }
  get writable() { return this.#inner.writable; }
}
expose(TextDecoderStream);
