// All of the web platform that a worker finds on `globalThis`.

import { AbortController, AbortSignal } from "pyworkerd:web/abort";
import { Blob, File } from "pyworkerd:web/blob";
import { structuredClone } from "pyworkerd:web/clone";
import { CompressionStream, DecompressionStream } from "pyworkerd:web/compression";
import { console } from "pyworkerd:web/console";
import { Crypto, crypto } from "pyworkerd:web/crypto";
import { CryptoKey } from "pyworkerd:web/crypto_key";
import { TextDecoder, TextEncoder } from "pyworkerd:web/encoding";
import {
  CloseEvent, CustomEvent, ErrorEvent, Event, EventTarget, MessageEvent, PromiseRejectionEvent,
} from "pyworkerd:web/events";
import { FormData } from "pyworkerd:web/form_data";
import { Headers } from "pyworkerd:web/headers";
import { ReadableStream } from "pyworkerd:web/readable";
import { ReadableByteStreamController, ReadableStreamBYOBRequest } from "pyworkerd:web/readable_bytes";
import { ReadableStreamDefaultController } from "pyworkerd:web/readable_default";
import { ReadableStreamBYOBReader, ReadableStreamDefaultReader } from "pyworkerd:web/readers";
import { reportError } from "pyworkerd:web/report";
import { Request } from "pyworkerd:web/request";
import { Response } from "pyworkerd:web/response";
import { URLSearchParams } from "pyworkerd:web/search_params";
import { ByteLengthQueuingStrategy, CountQueuingStrategy } from "pyworkerd:web/strategies";
import { Navigator, Performance, navigator, performance } from "pyworkerd:web/surroundings";
import { SubtleCrypto } from "pyworkerd:web/subtle";
import { TextDecoderStream, TextEncoderStream } from "pyworkerd:web/text_streams";
import {
  Scheduler, clearInterval, clearTimeout, queueMicrotask, scheduler, setInterval, setTimeout,
} from "pyworkerd:web/timers";
import {
  FixedLengthStream, IdentityTransformStream, TransformStream, TransformStreamDefaultController,
} from "pyworkerd:web/transform";
import { URL } from "pyworkerd:web/url";
import { URLPattern } from "pyworkerd:web/url_pattern";
import {
  WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter,
} from "pyworkerd:web/writable";

// The engine itself has DOMException, atob and btoa.
const GLOBALS = {
  AbortController,
  AbortSignal,
  Blob,
  ByteLengthQueuingStrategy,
  CloseEvent,
  CompressionStream,
  CountQueuingStrategy,
  Crypto,
  CryptoKey,
  CustomEvent,
  DecompressionStream,
  ErrorEvent,
  Event,
  EventTarget,
  File,
  FixedLengthStream,
  FormData,
  Headers,
  IdentityTransformStream,
  MessageEvent,
  Navigator,
  Performance,
  PromiseRejectionEvent,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  Request,
  Response,
  Scheduler,
  SubtleCrypto,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  TransformStream,
  TransformStreamDefaultController,
  URL,
  URLPattern,
  URLSearchParams,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
  clearInterval,
  clearTimeout,
  console,
  crypto,
  navigator,
  performance,
  queueMicrotask,
  reportError,
  scheduler,
  setInterval,
  setTimeout,
  structuredClone,
};

/** Defines them as WebIDL says: writable, configurable, not enumerable. */
export function install(target) {
  for (const [name, value] of Object.entries(GLOBALS)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
  Object.defineProperty(target, "self", { value: target, writable: true, enumerable: false, configurable: true });
}
