// Objects of the web platform as RPC carries them, by the tags that Python's SDK has (its `workers.rpc`). A body
// crosses as bytes: one that streams is read to its end before it is sent.

import { utf8 } from "pyworkerd:system/host";
import { MAX_BYTES } from "pyworkerd:system/outbox";
import { crossing, DataCloneError } from "pyworkerd:system/values";
import { Blob, blobBytes, File, makeBlob } from "pyworkerd:web/blob";
import { bodyOfBytes, extractBody } from "pyworkerd:web/body";
import { FormData } from "pyworkerd:web/form_data";
import { Headers, pairsOf } from "pyworkerd:web/headers";
import { isReadable } from "pyworkerd:web/readable";
import { Request, takeRequest } from "pyworkerd:web/request";
import { cameFrom, Response, takeResponse } from "pyworkerd:web/response";
import { concatenate } from "pyworkerd:web/utf8";

const REDIRECTS = new Set(["follow", "manual"]);

// [tag, what stands for it], or null for what is no object of these. `later` stands for bytes that have to be read.
crossing.write = (value, later) => {
  if (value instanceof Response) return ["Response", partsOfResponse(value, later)];
  if (value instanceof Request) return ["Request", partsOfRequest(value, later)];
  if (value instanceof Headers) return ["Headers", pairsOf(value)];
  if (value instanceof File) return ["File", [blobBytes(value), value.name, value.type, value.lastModified]];
  if (value instanceof Blob) return ["Blob", [blobBytes(value), value.type]];
  if (value instanceof FormData) return ["FormData", [...value]];
  if (isReadable(value)) return ["ReadableStream", [bytesOf(extractBody(value).take(), later)]];
  return null;
};

function partsOfResponse(response, later) {
  if (response.webSocket !== null) throw new DataCloneError("A Response with a WebSocket cannot be sent over RPC.");
  const { status, pairs, body, rest } = takeResponse(response);
  return [status, pairs, bytesOf(body, later), rest.url, `${response.statusText}`, rest.redirected];
}

function partsOfRequest(request, later) {
  const { method, url, pairs, body, redirect, rest } = takeRequest(request);
  return [method, url, pairs, bytesOf(body, later), { redirect, cf: rest.cf, signal: null }];
}

function bytesOf(body, later) {
  if (body === null) return null;
  if (body.text !== null) return utf8(body.text);
  return body.bytes ?? later(body);
}

function sent(bytes) {
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError("what should be bytes is something else");
}

const sentBody = (body) => (body === null ? null : sent(body));

// What somebody else wrote is checked as what a program gives.
crossing.readers = {
  __proto__: null,
  Response([status, headers, body, url, statusText, redirected]) {
    return cameFrom(new Response(sentBody(body), { status, statusText, headers }), `${url}`, redirected === true);
  },
  Request([method, url, headers, body, { redirect, cf }]) {
    const init = { method, headers, body: sentBody(body), cf: cf ?? undefined };
    if (REDIRECTS.has(redirect)) init.redirect = redirect;
    return new Request(url, init);
  },
  Headers: (pairs) => new Headers(pairs),
  File: ([bytes, name, type, lastModified]) => new File([sent(bytes)], name, { type, lastModified }),
  Blob: ([bytes, type]) => makeBlob(sent(bytes), type),
  FormData(pairs) {
    const form = new FormData();
    for (const [name, value] of pairs) form.append(name, value);
    return form;
  },
  ReadableStream: ([bytes]) => bodyOfBytes(sent(bytes)).readable(),
};

// All of a body, unless it has more bytes than there is room for. Whose rest is not wanted, hears so.
crossing.read = async ({ source, stream }, room) => {
  const reader = source ?? stream.getReader();
  const pieces = [];
  let size = 0;
  try {
    for (;;) {
      const piece = source === null ? nextOf(await reader.read()) : await reader.read();
      if (piece === null) return concatenate(pieces, size);
      size += piece.length;
      if (size > room) {
        const most = `${MAX_BYTES >> 20} MiB at once`;
        throw new RangeError(
          `bodies and streams in calls and results may have ${most}: send what is larger by fetch()`,
        );
      }
      if (piece.length > 0) pieces.push(piece);
    }
  } catch (error) {
    if (source === null) reader.cancel(error).catch(() => {});
    else source.cancel(error);
    throw error;
  }
};

function nextOf({ value, done }) {
  if (done) return null;
  if (value instanceof Uint8Array) return value;
  throw new DataCloneError("a ReadableStream that is sent to another worker is one of Uint8Arrays");
}

crossing.cancel = ({ source, stream }, reason) => {
  source?.cancel(reason);
  stream?.cancel(reason).catch(() => {});
};
