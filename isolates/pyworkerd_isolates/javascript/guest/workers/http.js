// Between what the host says of requests and responses and the objects that programs see.

import { bodyOfBytes, bodyOfSource } from "pyworkerd:web/body";
import { readDataURL } from "pyworkerd:web/data_url";
import { makeRequest, Request, takeRequest } from "pyworkerd:web/request";
import { makeResponse, Response, takeResponse } from "pyworkerd:web/response";
import { concatenate } from "pyworkerd:web/utf8";
import { leave, receive, WebSocket } from "pyworkerd:workers/websocket";

// A body as it comes from the host: bytes in hand, an `Inbound`, either of them as a `Followed`, or null.
export function given(body) {
  if (body === null) return null;
  return body instanceof Uint8Array ? bodyOfBytes(body) : bodyOfSource(body, body.length);
}

export function requestOf(method, url, headers, body) {
  return makeRequest(method, url, headers, given(body));
}

function nameOf(value) {
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return String(value.constructor?.name ?? "an object");
}

export function partsOfResponse(response) {
  if (!(response instanceof Response)) {
    const remedy = response === undefined ? "return it on every way" : "write `return new Response(...)`";
    throw new TypeError(`fetch() has to return a Response, not ${nameOf(response)}: ${remedy}`);
  }
  return takeResponse(response);
}

// What `fetch(input, init)` sends.
export function sendable(input, init) {
  return takeRequest(input instanceof Request && init === undefined ? input : new Request(input, init));
}

const withoutFragment = (url) => (url.includes("#") ? url.slice(0, url.indexOf("#")) : url);

export function responseOf({ status, headers, body, url: named, wire }, sent) {
  const url = withoutFragment(named);
  const asked = withoutFragment(sent);
  const socket = wire === undefined ? null : receive(wire, url, protocolOf(headers));
  return makeResponse(status, "", headers, given(body), url, url !== asked, socket);
}

// The number of the WebSocket that a response gives away.
export function leaveWith({ pairs, rest: { webSocket } }, invocation) {
  if (!(webSocket instanceof WebSocket)) {
    throw new TypeError(`\`webSocket\` has to be an end of a WebSocketPair, not ${nameOf(webSocket)}`);
  }
  return leave(webSocket, invocation, protocolOf(pairs));
}

function protocolOf(pairs) {
  return pairs.find(([name]) => name === "sec-websocket-protocol")?.[1] ?? "";
}

// All of a body that came from the host.
export async function readAll(body) {
  if (body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  const pieces = [];
  let size = 0;
  for (;;) {
    const piece = await body.read();
    if (piece === null) return concatenate(pieces, size);
    pieces.push(piece);
    size += piece.length;
  }
}

// The answer to a request whose URL is the answer itself.
export function dataResponse({ method, url }) {
  const data = readDataURL(url);
  if (data === null) throw new TypeError(`a URL that holds nothing: ${url.slice(0, 100)}`);
  const body = method === "HEAD" ? null : bodyOfBytes(data.bytes);
  return makeResponse(200, "OK", [["content-type", data.type]], body, withoutFragment(url));
}

export function streamOf(body) {
  return (given(body) ?? bodyOfBytes(new Uint8Array(0))).readable();
}

