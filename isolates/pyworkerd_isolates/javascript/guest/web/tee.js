// Two streams of one (https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee). The branches of a stream of
// bytes are streams of bytes, each with its own copy; buffers that their readers bring are filled from their queues.

import { ByteController, beginBytes } from "pyworkerd:web/readable_bytes";
import { Readable, Reader, cancelStream, read } from "pyworkerd:web/readable_core";
import { beginDefault } from "pyworkerd:web/readable_default";
import { upon } from "pyworkerd:web/promises";

/** Two streams with what the given one has from now on. It is locked to them. */
export function tee(stream) {
  const isBytes = stream.controller instanceof ByteController;
  const reader = new Reader(stream, false);
  const branches = [new Readable(), new Readable()];
  const cancelled = [false, false];
  const reasons = [undefined, undefined];
  const over = Promise.withResolvers();
  let reading = false;
  let again = false;

  const pull = () => {
    if (reading) {
      again = true;
      return Promise.resolve();
    }
    reading = true;
    read(reader, { chunk, close, error: fail });
    return Promise.resolve();
  };
  // In a task of its own: an error of the stream that comes in the same turn has to be seen first.
  const chunk = (value) =>
    queueMicrotask(() => {
      again = false;
      if (!cancelled[0]) branches[0].controller.enqueue(value);
      if (!cancelled[1]) branches[1].controller.enqueue(isBytes ? value.slice() : value);
      reading = false;
      if (again) pull();
    });
  const close = () => {
    reading = false;
    branches.forEach((branch, i) => {
      if (cancelled[i]) return;
      branch.controller.close();
      if (isBytes && branch.controller.fills.length > 0) branch.controller.respond(0);
    });
    if (!cancelled[0] || !cancelled[1]) over.resolve();
  };
  const fail = () => {
    reading = false;
  };
  const cancel = (i) => (reason) => {
    cancelled[i] = true;
    reasons[i] = reason;
    if (cancelled[0] && cancelled[1]) over.resolve(cancelStream(stream, reasons));
    return over.promise;
  };

  branches.forEach((branch, i) => {
    if (isBytes) beginBytes(branch, 0, pull, cancel(i));
    else beginDefault(branch, 1, undefined, undefined, pull, cancel(i));
  });
  upon(reader.closed(), undefined, (error) => {
    for (const branch of branches) branch.controller.error(error);
    if (!cancelled[0] || !cancelled[1]) over.resolve();
  });
  return branches;
}
