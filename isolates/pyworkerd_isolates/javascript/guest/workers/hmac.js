// HMAC with SHA-256 (RFC 2104): what ids of Durable Objects are made of.

import { DIGESTS } from "pyworkerd:web/digest";
import { concatenate } from "pyworkerd:web/utf8";

const BLOCK = 64;
const sha256 = DIGESTS["SHA-256"];

export function hmac(key, bytes) {
  const secret = key.length > BLOCK ? sha256(key) : key;
  const inner = new Uint8Array(BLOCK).fill(0x36);
  const outer = new Uint8Array(BLOCK).fill(0x5c);
  for (let i = 0; i < secret.length; i++) {
    inner[i] ^= secret[i];
    outer[i] ^= secret[i];
  }
  const digest = sha256(concatenate([inner, bytes], BLOCK + bytes.length));
  return sha256(concatenate([outer, digest], BLOCK + digest.length));
}
