// What is said to the server: the session, requests, and the stream of log entries.

const API = "/api/v1";
let csrf = null;

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
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrf !== null) headers["x-csrf-token"] = csrf;
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
  const response = await fetch(`${API}/logs/stream?${new URLSearchParams(query)}`, { signal, cache: "no-store" });
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
