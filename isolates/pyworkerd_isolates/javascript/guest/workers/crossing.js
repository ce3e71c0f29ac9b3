// Objects of the web platform as RPC carries them, by the tags that Python's SDK has (its `workers.rpc`). A body that
// is at hand crosses as bytes, any other streams beside the value.

import { utf8 } from "pyworkerd:system/host";
import { crossing, DataCloneError } from "pyworkerd:system/values";
import { Blob, blobBytes, File, makeBlob } from "pyworkerd:web/blob";
import { bodyOfBytes, extractBody } from "pyworkerd:web/body";
import { FormData } from "pyworkerd:web/form_data";
import { Headers, pairsOf } from "pyworkerd:web/headers";
import { isReadable } from "pyworkerd:web/readable";
import { Request, takeRequest } from "pyworkerd:web/request";
import { cameFrom, Response, takeResponse } from "pyworkerd:web/response";
import { WritableStream } from "pyworkerd:web/writable";
import { sinkOf, Written } from "pyworkerd:workers/writables";

const REDIRECTS = new Set(["follow", "manual"]);

// [tag, what stands for it], or null for what is no object of these. `stream` stands for a body that streams, `lend`
// gives the place of what is lent.
crossing.write = (value, stream, lend) => {
  if (value instanceof Response) return ["Response", partsOfResponse(value, stream)];
  if (value instanceof Request) return ["Request", partsOfRequest(value, stream)];
  if (value instanceof Headers) return ["Headers", pairsOf(value)];
  if (value instanceof File) return ["File", [blobBytes(value), value.name, value.type, value.lastModified]];
  if (value instanceof Blob) return ["Blob", [blobBytes(value), value.type]];
  if (value instanceof FormData) return ["FormData", [...value]];
  if (isReadable(value)) return ["ReadableStream", [bytesOf(extractBody(value).take(), stream)]];
  if (value instanceof WritableStream) return ["WritableStream", lend(sinkOf(value))];
  if (value instanceof Written) return ["ReadableStream", [stream(value)]];
  return null;
};

function partsOfResponse(response, stream) {
  if (response.webSocket !== null) throw new DataCloneError("A Response with a WebSocket cannot be sent over RPC.");
  const { status, pairs, body, rest } = takeResponse(response);
  return [status, pairs, bytesOf(body, stream), rest.url, `${response.statusText}`, rest.redirected];
}

function partsOfRequest(request, stream) {
  const { method, url, pairs, body, redirect, rest } = takeRequest(request);
  return [method, url, pairs, bytesOf(body, stream), { redirect, cf: rest.cf, signal: null }];
}

function bytesOf(body, stream) {
  if (body === null) return null;
  if (body.text !== null) return utf8(body.text);
  return body.bytes ?? stream(body);
}

function sent(bytes) {
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError("what should be bytes is something else");
}

const sentBody = (body) => (body === null || isReadable(body) ? body : sent(body));

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
  ReadableStream: ([body]) => (isReadable(body) ? body : bodyOfBytes(sent(body)).readable()),
};
