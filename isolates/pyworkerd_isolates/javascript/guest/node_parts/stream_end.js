// `finished` of "node:stream": tells once when a stream has come to its end, or that it will not.

import { invalidType, requireFunction } from "pyworkerd:node_parts/errors";
import { abortedBy, closedTooEarly, isNodeStream, later } from "pyworkerd:node_parts/stream_state";

const hasEnded = (stream) => stream._readableState?.endEmitted;
const hasFinished = (stream) => stream._writableState?.finished;

/** Calls `callback` with an error or with nothing. Answers what listens no more. */
export function finished(stream, ...given) {
  const callback = given.at(-1);
  const options = given.length > 1 ? (given[0] ?? {}) : {};
  if (typeof options !== "object") throw invalidType("options", "of type object", options);
  requireFunction(callback, "callback");
  if (!isNodeStream(stream)) throw invalidType("stream", "an instance of Stream", stream);
  const { _readableState: read, _writableState: write } = stream;
  const isReadable = options.readable ?? (read ? read.readable !== false : stream.readable === true);
  const isWritable = options.writable ?? (write ? write.writable !== false : stream.writable === true);
  let readEnded = hasEnded(stream) ?? false;
  let writeEnded = hasFinished(stream) ?? false;
  let told = false;
  let heedless = () => {}; // listens no more to the signal
  const tell = (error) => {
    if (told) return;
    told = true;
    heedless();
    if (error === undefined) callback.call(stream);
    else callback.call(stream, error);
  };
  const willClose = () => {
    const state = write ?? read;
    const isMeant = isReadable === (read !== undefined && read.readable !== false) &&
      isWritable === (write !== undefined && write.writable !== false);
    return Boolean(state?.autoDestroy && state.emitClose && state.closed === false) && isMeant;
  };
  let waitsForClose = willClose();
  const onFinish = () => {
    writeEnded = true;
    if (stream.destroyed) waitsForClose = false;
    if (waitsForClose && (!stream.readable || isReadable)) return;
    if (!isReadable || readEnded) tell();
  };
  const onEnd = () => {
    readEnded = true;
    if (stream.destroyed) waitsForClose = false;
    if (waitsForClose && (!stream.writable || isWritable)) return;
    if (!isWritable || writeEnded) tell();
  };
  const onError = (error) => tell(error);
  let closed = Boolean((write ?? read)?.closed);
  const onClose = () => {
    closed = true;
    const errored = write?.errored ?? read?.errored;
    if (errored) tell(errored);
    else if (isReadable && !readEnded && hasEnded(stream) !== true) tell(closedTooEarly());
    else if (isWritable && !writeEnded && hasFinished(stream) !== true) tell(closedTooEarly());
    else tell();
  };
  const listening = [["end", onEnd], ["finish", onFinish], ["close", onClose]];
  if (isWritable && !write) listening.push(["end", () => onFinish()]);
  if (options.error !== false) listening.push(["error", onError]);
  for (const [type, listener] of listening) stream.on(type, listener);
  if (closed) {
    later(onClose);
  } else if (write?.errorEmitted || read?.errorEmitted) {
    if (!waitsForClose) later(() => tell(write?.errored ?? read?.errored));
  } else if (!isReadable && (!waitsForClose || stream.readable !== false) && writeEnded) {
    later(() => tell());
  } else if (!isWritable && (!waitsForClose || stream.writable !== false) && readEnded) {
    later(() => tell());
  }
  const stop = () => {
    told = true;
    heedless();
    for (const [type, listener] of listening) stream.removeListener(type, listener);
  };
  const { signal } = options;
  if (signal && !closed) {
    const abort = () => {
      if (told) return;
      stop();
      callback.call(stream, abortedBy(signal));
    };
    heedless = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) later(abort);
    else signal.addEventListener("abort", abort, { once: true });
  }
  return stop;
}

/** The same as a promise. */
export function whenFinished(stream, options = undefined) {
  return new Promise((resolve, reject) => {
    const stop = finished(stream, options ?? {}, (error) => {
      if (options?.cleanup) stop();
      if (error) reject(error);
      else resolve();
    });
  });
}
