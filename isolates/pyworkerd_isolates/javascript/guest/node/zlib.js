// The module "node:zlib" (https://nodejs.org/api/zlib.html), without Brotli and Zstandard.

import { Buffer } from "pyworkerd:node/buffer";
import { bytesOf } from "pyworkerd:node_parts/crypto_bytes";
import { coded, missing, requireFunction } from "pyworkerd:node_parts/errors";
import { CLASSES, SYNC_FLUSH, workOf } from "pyworkerd:node_parts/zlib_streams";
import { crc32 as sumOf } from "pyworkerd:web/deflate_format";

const GIVEN = "of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer";

function all(name, input, options) {
  const work = workOf(name, options);
  const bytes = bytesOf(input, "buffer", undefined, GIVEN);
  const most = options?.maxOutputLength ?? Infinity;
  const parts = [];
  let size = 0;
  for (const pieces of [work.push(bytes), work.finish()]) {
    for (const piece of pieces) {
      size += piece.length;
      if (size > most) {
        throw coded(RangeError, "ERR_BUFFER_TOO_LARGE", `Cannot create a Buffer larger than ${most} bytes`);
      }
      parts.push(piece);
    }
  }
  return Buffer.concat(parts, size);
}

const atOnce = (name) => (buffer, options = undefined) => all(name, buffer, options);

// With a callback; what is wrong with the arguments is thrown.
const withCallback = (name) => (buffer, ...given) => {
  const callback = given.pop();
  requireFunction(callback, "callback");
  bytesOf(buffer, "buffer", undefined, GIVEN);
  queueMicrotask(() => {
    let answer;
    try {
      answer = [null, all(name, buffer, given[0])];
    } catch (error) {
      answer = [error];
    }
    callback(...answer);
  });
};

export const { Deflate, DeflateRaw, Gunzip, Gzip, Inflate, InflateRaw, Unzip } = CLASSES;
export const createDeflate = (options) => new Deflate(options);
export const createDeflateRaw = (options) => new DeflateRaw(options);
export const createGunzip = (options) => new Gunzip(options);
export const createGzip = (options) => new Gzip(options);
export const createInflate = (options) => new Inflate(options);
export const createInflateRaw = (options) => new InflateRaw(options);
export const createUnzip = (options) => new Unzip(options);
export const deflate = withCallback("Deflate");
export const deflateRaw = withCallback("DeflateRaw");
export const gunzip = withCallback("Gunzip");
export const gzip = withCallback("Gzip");
export const inflate = withCallback("Inflate");
export const inflateRaw = withCallback("InflateRaw");
export const unzip = withCallback("Unzip");
export const deflateSync = atOnce("Deflate");
export const deflateRawSync = atOnce("DeflateRaw");
export const gunzipSync = atOnce("Gunzip");
export const gzipSync = atOnce("Gzip");
export const inflateSync = atOnce("Inflate");
export const inflateRawSync = atOnce("InflateRaw");
export const unzipSync = atOnce("Unzip");

/** The CRC-32 of bytes, or of the UTF-8 of a text, after others whose sum is given. */
export function crc32(data, value = 0) {
  return sumOf(bytesOf(data, "data"), value);
}

const unavailable = (name) => () => { throw missing(`zlib.${name}`); };
export const brotliCompress = unavailable("brotliCompress");
export const brotliCompressSync = unavailable("brotliCompressSync");
export const brotliDecompress = unavailable("brotliDecompress");
export const brotliDecompressSync = unavailable("brotliDecompressSync");
export const createBrotliCompress = unavailable("createBrotliCompress");
export const createBrotliDecompress = unavailable("createBrotliDecompress");

export const codes = Object.freeze({
  Z_OK: 0, Z_STREAM_END: 1, Z_NEED_DICT: 2, Z_ERRNO: -1, Z_STREAM_ERROR: -2, Z_DATA_ERROR: -3, Z_MEM_ERROR: -4,
  Z_BUF_ERROR: -5, Z_VERSION_ERROR: -6,
});
export const constants = Object.freeze({
  ...codes,
  Z_NO_FLUSH: 0, Z_PARTIAL_FLUSH: 1, Z_SYNC_FLUSH: SYNC_FLUSH, Z_FULL_FLUSH: 3, Z_FINISH: 4, Z_BLOCK: 5,
  Z_NO_COMPRESSION: 0, Z_BEST_SPEED: 1, Z_BEST_COMPRESSION: 9, Z_DEFAULT_COMPRESSION: -1,
  Z_FILTERED: 1, Z_HUFFMAN_ONLY: 2, Z_RLE: 3, Z_FIXED: 4, Z_DEFAULT_STRATEGY: 0,
  Z_MIN_WINDOWBITS: 8, Z_MAX_WINDOWBITS: 15, Z_DEFAULT_WINDOWBITS: 15, Z_MIN_CHUNK: 64, Z_MAX_CHUNK: Infinity,
  Z_DEFAULT_CHUNK: 16384, Z_MIN_MEMLEVEL: 1, Z_MAX_MEMLEVEL: 9, Z_DEFAULT_MEMLEVEL: 8, Z_MIN_LEVEL: -1, Z_MAX_LEVEL: 9,
  Z_DEFAULT_LEVEL: -1,
});

// Older programs find the constants in the module itself.
export default {
  ...constants, ...CLASSES, codes, constants, crc32, createDeflate, createDeflateRaw, createGunzip, createGzip,
  createInflate, createInflateRaw, createUnzip, deflate, deflateRaw, deflateRawSync, deflateSync, gunzip, gunzipSync,
  gzip, gzipSync, inflate, inflateRaw, inflateRawSync, inflateSync, unzip, unzipSync, brotliCompress,
  brotliCompressSync, brotliDecompress, brotliDecompressSync, createBrotliCompress, createBrotliDecompress,
};
