// Pipes of "node:stream": what a Readable gives goes to others, no faster than the slowest of them takes it.

import { fail, later } from "pyworkerd:node_parts/stream_state";

/** The method `pipe` of a Readable. */
export function pipe(to, options = undefined) {
  const state = this._readableState;
  state.pipes.push(to);
  let onDrain = null;
  const stop = () => {
    to.removeListener("close", onClose);
    to.removeListener("finish", onFinish);
    if (onDrain !== null) to.removeListener("drain", onDrain);
    to.removeListener("error", onError);
    to.removeListener("unpipe", onUnpipe);
    this.removeListener("end", onEnd);
    this.removeListener("end", unpipe);
    this.removeListener("data", onData);
    const isAwaited = state.waitsFor?.has(to) && (!to._writableState || to._writableState.needDrain);
    if (onDrain !== null && isAwaited) onDrain();
  };
  let isOver = false;
  const onUnpipe = (from, about) => {
    if (from !== this || about?.hasUnpiped !== false) return;
    about.hasUnpiped = true;
    isOver = true;
    stop();
  };
  const onEnd = () => to.end();
  const unpipe = () => this.unpipe(to);
  const wait = () => {
    if (!isOver) {
      (state.waitsFor ??= new Set()).add(to);
      this.pause();
    }
    if (onDrain !== null) return;
    onDrain = () => {
      state.waitsFor?.delete(to);
      if ((state.waitsFor?.size ?? 0) === 0 && this.listenerCount("data") > 0) this.resume();
    };
    to.on("drain", onDrain);
  };
  const onData = (chunk) => {
    if (to.write(chunk) === false) wait();
  };
  const onError = (error) => {
    unpipe();
    to.removeListener("error", onError);
    if (to.listenerCount("error") > 0) return;
    const own = to._writableState ?? to._readableState;
    if (own && !own.errorEmitted) fail(to, error);
    else to.emit("error", error);
  };
  const onClose = () => {
    to.removeListener("finish", onFinish);
    unpipe();
  };
  const onFinish = () => {
    to.removeListener("close", onClose);
    unpipe();
  };
  const isStandard = to === globalThis.process.stdout || to === globalThis.process.stderr;
  const whenEnded = options?.end !== false && !isStandard ? onEnd : unpipe;
  if (state.endEmitted) later(whenEnded);
  else this.once("end", whenEnded);
  to.on("unpipe", onUnpipe);
  this.on("data", onData);
  to.prependListener("error", onError);
  to.once("close", onClose);
  to.once("finish", onFinish);
  to.emit("pipe", this);
  if (to.writableNeedDrain === true) wait();
  else if (!state.flowing) this.resume();
  return to;
}

/** The method `unpipe`. */
export function unpipe(to = undefined) {
  const state = this._readableState;
  if (state.pipes.length === 0) return this;
  if (to === undefined) {
    const all = state.pipes;
    state.pipes = [];
    this.pause();
    for (const each of all) each.emit("unpipe", this, { hasUnpiped: false });
    return this;
  }
  const at = state.pipes.indexOf(to);
  if (at < 0) return this;
  state.pipes.splice(at, 1);
  if (state.pipes.length === 0) this.pause();
  to.emit("unpipe", this, { hasUnpiped: false });
  return this;
}
