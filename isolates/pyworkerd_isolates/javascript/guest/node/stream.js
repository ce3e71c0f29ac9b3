// The module "node:stream" (https://nodejs.org/api/stream.html).

import promises from "pyworkerd:node/stream/promises";
import { Duplex, PassThrough, Transform } from "pyworkerd:node_parts/duplex";
import { pipeline, whenPiped } from "pyworkerd:node_parts/pipeline";
import { Readable } from "pyworkerd:node_parts/readable";
import { finished, whenFinished } from "pyworkerd:node_parts/stream_end";
import {
  Stream, getDefaultHighWaterMark, isNodeStream, isReadableNode, isWritableNode, setDefaultHighWaterMark,
} from "pyworkerd:node_parts/stream_state";
import { Writable, abortWith } from "pyworkerd:node_parts/writable";
import "pyworkerd:node_parts/stream_operators";

const PROMISED = Symbol.for("nodejs.util.promisify.custom");
Object.defineProperty(pipeline, PROMISED, { value: whenPiped });
Object.defineProperty(finished, PROMISED, { value: whenFinished });

export const addAbortSignal = (signal, stream) => abortWith(signal, stream);
export const destroy = (stream, error = undefined) => stream.destroy(error);
export const isReadable = (stream) => (isReadableNode(stream) ? stream.readable : null);
export const isWritable = (stream) => (isWritableNode(stream) ? stream.writable : null);
export const isErrored = (stream) => isNodeStream(stream) && Boolean(stream.errored);
export const isDisturbed = (stream) =>
  isNodeStream(stream) && Boolean(stream.readableDidRead || stream.readableAborted);

// The module is the oldest class of streams, and has the others.
Object.assign(Stream, {
  Stream, Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished, addAbortSignal, destroy, promises,
  getDefaultHighWaterMark, setDefaultHighWaterMark, isReadable, isWritable, isErrored, isDisturbed,
  _isUint8Array: (value) => value instanceof Uint8Array,
  _uint8ArrayToBuffer: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});

export {
  Duplex, PassThrough, Readable, Stream, Transform, Writable, finished, getDefaultHighWaterMark, pipeline, promises,
  setDefaultHighWaterMark,
};
export default Stream;
