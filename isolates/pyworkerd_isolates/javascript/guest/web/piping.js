// From a readable stream into a writable one (https://streams.spec.whatwg.org/#readable-stream-pipe-to).

import { offAbort, onAbort } from "pyworkerd:web/abort";
import { Reader, cancelStream, read } from "pyworkerd:web/readable_core";
import { after, ignore, upon } from "pyworkerd:web/promises";
import { Writer, abortStream, isClosing } from "pyworkerd:web/writable_core";

/** A promise of the end. Both streams are locked meanwhile. */
export function pipeTo(source, destination, { preventAbort, preventCancel, preventClose, signal }) {
  const reader = new Reader(source, false);
  const writer = new Writer(destination);
  source.disturbed = true;
  const outcome = Promise.withResolvers();
  let stopping = false;
  let lastWrite = Promise.resolve();

  const finish = (failed, error) => {
    writer.release();
    reader.release();
    if (signal !== null) offAbort(signal, stop);
    if (failed) outcome.reject(error);
    else outcome.resolve();
  };

  // What was read is written before anything else happens.
  const shutDown = (action, failed, error) => {
    if (stopping) return;
    stopping = true;
    const act = () => {
      if (action === null) finish(failed, error);
      else upon(action(), () => finish(failed, error), (other) => finish(true, other));
    };
    if (destination.state === "writable" && !isClosing(destination)) waitForWrites(act);
    else act();
  };
  const waitForWrites = (act) => {
    const waited = lastWrite;
    upon(waited, () => (waited === lastWrite ? act() : waitForWrites(act)));
  };

  function stop(reason) {
    const actions = [];
    if (!preventAbort && destination.state === "writable") actions.push(() => abortStream(destination, reason));
    if (!preventCancel && source.state === "readable") actions.push(() => cancelStream(source, reason));
    shutDown(() => Promise.all(actions.map((action) => action())), true, reason);
  }

  if (signal !== null) {
    if (signal.aborted) {
      stop(signal.reason);
      return outcome.promise;
    }
    onAbort(signal, stop);
  }

  const sourceFailed = (error) => shutDown(preventAbort ? null : () => abortStream(destination, error), true, error);
  const sourceEnded = () => shutDown(preventClose ? null : () => writer.closeUnlessEnding(), false);
  const destinationFailed = (error) => shutDown(preventCancel ? null : () => cancelStream(source, error), true, error);

  if (source.state === "errored") sourceFailed(source.error);
  else upon(reader.closed(), undefined, sourceFailed);
  if (destination.state === "errored") destinationFailed(destination.error);
  else upon(writer.closed, undefined, destinationFailed);
  if (source.state === "closed") sourceEnded();
  else upon(reader.closed(), sourceEnded, ignore);
  if (isClosing(destination) || destination.state === "closed") {
    const error = new TypeError("pipeTo: the WritableStream closed before the source ended.");
    shutDown(preventCancel ? null : () => cancelStream(source, error), true, error);
  }

  const request = {
    chunk(value) {
      // In a turn of its own: whoever enqueues does not find that the sink has been called meanwhile.
      lastWrite = after(after(Promise.resolve(), () => write(value)), ignore, ignore);
    },
    close: ignore,
    error: ignore,
  };
  function write(value) {
    const written = writer.write(value);
    queueMicrotask(next);
    return written;
  }
  function next() {
    if (stopping) return;
    if (writer.desired() > 0) read(reader, request);
    else upon(writer.ready, () => stopping || read(reader, request), ignore);
  }
  next();
  return outcome.promise;
}
