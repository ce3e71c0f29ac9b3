// What is said to the server: the session, requests, and the stream of log entries.

const API = "/api/v1";

// The session's second secret. It is kept for tabs and reloads of this address alone, its port included, which no
// cookie is: a worker that is served on another port of the same host has the cookie, and can do nothing with it.
const SECOND_SECRET = "pyworkerd_csrf";
let csrf = secretOfLastTime();

function secretOfLastTime() {
  try {
    return localStorage.getItem(SECOND_SECRET);
  } catch {
    return null; // A browser that keeps nothing for pages: the token is given again after a reload.
  }
}

function keep(secret) {
  csrf = secret;
  try {
    if (secret === null) localStorage.removeItem(SECOND_SECRET);
    else localStorage.setItem(SECOND_SECRET, secret);
  } catch {
    // The same.
  }
}

addEventListener("storage", ({ key, newValue }) => {
  if (key === SECOND_SECRET) csrf = newValue; // another tab has begun a session, or ended it
});

function ofSession() {
  return csrf === null ? {} : { "x-csrf-token": csrf };
}

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function refusal(response) {
  let detail = `the server answered ${response.status}`;
  try {
    const problem = await response.json();
    if (typeof problem.detail === "string") detail = problem.detail;
  } catch {
    // Not everything that can answer here is the API.
  }
  return new Refused(response.status, detail);
}

async function talk(path, { method = "GET", body, signal } = {}) {
  const headers = ofSession();
  if (body !== undefined) headers["content-type"] = "application/json";
  const limit = AbortSignal.timeout(method === "GET" ? 10_000 : 120_000);
  const response = await fetch(`${API}${path}`, {
    method, headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: "no-store",
  });
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

// Calls `told` with lists of [event, data], until the stream ends.
async function follow(query, signal, told) {
  const address = `${API}/logs/stream?${new URLSearchParams(query)}`;
  const response = await fetch(address, { signal, headers: ofSession(), cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    told(pieces.map(eventOf).filter((event) => event !== null));
  }
}

function eventOf(text) {
  const fields = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  return fields.event && fields.data ? [fields.event, JSON.parse(fields.data)] : null;
}
