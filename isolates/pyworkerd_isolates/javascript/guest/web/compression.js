// CompressionStream and DecompressionStream (https://compression.spec.whatwg.org/).

import { Deflater } from "pyworkerd:web/deflate";
import { bytesOf } from "pyworkerd:web/encoding";
import { expose, requireArguments } from "pyworkerd:web/idl";
import { Inflater } from "pyworkerd:web/inflate";
import { makeTransform } from "pyworkerd:web/transform";

const FORMATS = new Set(["deflate", "deflate-raw", "gzip"]);

function checked(format, given, where) {
  requireArguments(given, 1, where);
  if (!FORMATS.has(`${format}`)) throw new TypeError(`${where}: the format ${format} is not supported.`);
  return `${format}`;
}

export class CompressionStream {
  #inner;
  constructor(format) {
    const deflater = new Deflater(checked(format, arguments.length, "CompressionStream constructor"));
    this.#inner = makeTransform((enqueue) => {
      const give = (bytes) => {
        if (bytes.length > 0) enqueue(bytes);
      };
      return {
        transform: (chunk) => give(deflater.push(bytesOf(chunk, "CompressionStream"))),
        flush: () => give(deflater.finish()),
      };
    });
  }
  get readable() { return this.#inner.readable; }
  get writable() { return this.#inner.writable; }
}
expose(CompressionStream);

export class DecompressionStream {
  #inner;
  constructor(format) {
    const inflater = new Inflater(checked(format, arguments.length, "DecompressionStream constructor"));
    this.#inner = makeTransform((enqueue, room) => ({
      // A small chunk may stand for much: it is made as fast as it is read.
      async transform(chunk) {
        for (const piece of inflater.push(bytesOf(chunk, "DecompressionStream"))) {
          await room();
          enqueue(piece);
        }
      },
      flush: () => inflater.finish(),
    }));
  }
  get readable() { return this.#inner.readable; }
  get writable() { return this.#inner.writable; }
}
expose(DecompressionStream);
