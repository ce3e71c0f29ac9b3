// All of the web platform that a worker finds on `globalThis`.

import { AbortController, AbortSignal } from "pyworkerd:web/abort";
import { console } from "pyworkerd:web/console";
import { TextDecoder, TextEncoder } from "pyworkerd:web/encoding";
import {
  CloseEvent, CustomEvent, ErrorEvent, Event, EventTarget, MessageEvent, PromiseRejectionEvent,
} from "pyworkerd:web/events";
import { Headers } from "pyworkerd:web/headers";
import { reportError } from "pyworkerd:web/report";
import { URLSearchParams } from "pyworkerd:web/search_params";
import { Scheduler, clearInterval, clearTimeout, scheduler, setInterval, setTimeout } from "pyworkerd:web/timers";
import { URL } from "pyworkerd:web/url";

// The engine itself has DOMException, atob, btoa and queueMicrotask.
const GLOBALS = {
  AbortController,
  AbortSignal,
  CloseEvent,
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  Headers,
  MessageEvent,
  PromiseRejectionEvent,
  Scheduler,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  clearInterval,
  clearTimeout,
  console,
  reportError,
  scheduler,
  setInterval,
  setTimeout,
};

/** Defines them as WebIDL says: writable, configurable, not enumerable. */
export function install(target) {
  for (const [name, value] of Object.entries(GLOBALS)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
}
