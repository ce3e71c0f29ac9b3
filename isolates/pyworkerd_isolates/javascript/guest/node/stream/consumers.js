// The module "node:stream/consumers": all of a stream at once.

import { Buffer } from "pyworkerd:node/buffer";

async function all(stream) {
  const parts = [];
  for await (const chunk of stream) {
    parts.push(chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk);
  }
  return new Blob(parts);
}

export function blob(stream) {
  return all(stream);
}

export async function arrayBuffer(stream) {
  return (await all(stream)).arrayBuffer();
}

export async function buffer(stream) {
  return Buffer.from(await arrayBuffer(stream));
}

export async function text(stream) {
  return (await all(stream)).text();
}

export async function json(stream) {
  return JSON.parse(await text(stream));
}

export default { arrayBuffer, blob, buffer, json, text };
