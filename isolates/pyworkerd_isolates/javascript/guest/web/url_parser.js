// The URL parser (https://url.spec.whatwg.org/#url-parsing), which goes by parts in place of characters: in an
// interpreter a state machine takes a microsecond for each of them. The standard's states are named beside the parts.
//
// A record has: scheme, username, password, host (text or null), port (number or null), path (text; `opaque` says that
// it has no segments), query and fragment (text or null).

import { parseHost } from "pyworkerd:web/url_host";
import { C0_CONTROL, FRAGMENT, PATH, QUERY, SPECIAL_QUERY, USERINFO, percentEncode } from "pyworkerd:web/percent";

/** Schemes that the standard calls special, and their ports. */
export const SPECIAL = { __proto__: null, "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "file": null };

export const isSpecial = (record) => record.scheme in SPECIAL;

// A URL as most are written, which is its own result. Nothing in it is encoded or has dots to be resolved.
const USUAL = new RegExp(
  "^(https?)://([a-z][a-z0-9-]*(?:\\.[a-z][a-z0-9-]*)*)(?::([1-9]\\d{0,3}))?" +
    "((?:/(?!\\.)[\\w!$&'()*+,.:;=@~-]*)*)(?:\\?([\\w!$%&()*+,./:;=?@~-]*))?$",
);
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/;
const SEPARATORS = /[/\\]/;
const DRIVE = /^[A-Za-z][:|]$/;
const NORMAL_DRIVE = /^[A-Za-z]:$/;
const BEGINS_WITH_DRIVE = /^[A-Za-z][:|](?:[/\\]|$)/;
const MAY_HAVE_DOTS = /(?:^|\/)(?:\.|%2e)/i;
const LONGEST_DOTS = 6; // "%2e%2e"
const DOT = /^(?:\.|%2e)$/i;
const TWO_DOTS = /^(?:\.|%2e){2}$/i;

const cleaned = (text) => (/[\t\n\r]/.test(text) ? text.replace(/[\t\n\r]/g, "") : text);

function trimmed(text) {
  const isBare = text.charCodeAt(0) <= 0x20 || text.charCodeAt(text.length - 1) <= 0x20;
  return isBare ? text.replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, "") : text;
}

function blank(scheme, base = null) {
  return {
    scheme,
    username: base?.username ?? "",
    password: base?.password ?? "",
    host: base?.host ?? null,
    port: base?.port ?? null,
    path: "",
    opaque: false,
    query: null,
    fragment: null,
  };
}

/** The record of a URL, or null where it is none. `base`: a record or null. */
export function parse(input, base) {
  const usual = USUAL.exec(input);
  if (usual !== null && !usual[2].includes("xn--")) {
    const record = blank(usual[1]);
    record.host = usual[2];
    const port = usual[3] === undefined ? null : Number(usual[3]);
    if (port !== SPECIAL[record.scheme]) record.port = port;
    record.path = usual[4] || "/";
    if (usual[5] !== undefined) record.query = usual[5];
    return record;
  }
  let rest = cleaned(trimmed(input));
  const fragment = after(rest, "#");
  if (fragment !== null) rest = rest.slice(0, -fragment.length - 1);
  const query = after(rest, "?");
  if (query !== null) rest = rest.slice(0, -query.length - 1);
  const record = parseBeforeQuery(rest, query !== null, fragment !== null, base);
  if (record === null) return null;
  if (query !== null) record.query = encodeQuery(record, query);
  if (fragment !== null) record.fragment = percentEncode(fragment, FRAGMENT);
  return record;
}

function after(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? null : text.slice(at + 1);
}

export const encodeQuery = (record, text) => percentEncode(cleaned(text), isSpecial(record) ? SPECIAL_QUERY : QUERY);
export const encodeFragment = (text) => percentEncode(cleaned(text), FRAGMENT);
export const encodeUser = (text) => percentEncode(text, USERINFO);

// "Scheme state" and "no scheme state".
function parseBeforeQuery(text, hasQuery, hasFragment, base) {
  const scheme = SCHEME.exec(text)?.[0].toLowerCase();
  if (scheme !== undefined) {
    const rest = text.slice(scheme.length + 1);
    if (scheme === "file") return parseFile(rest, base?.scheme === "file" ? base : null, hasQuery);
    if (scheme in SPECIAL) {
      if (base?.scheme === scheme && !rest.startsWith("//")) return parseRelative(rest, base, hasQuery);
      return parseAuthority(blank(scheme), rest.replace(/^[/\\]+/, ""));
    }
    const record = blank(scheme);
    if (rest.startsWith("//")) return parseAuthority(record, rest.slice(2));
    if (rest.startsWith("/")) return withPath(record, [], rest.slice(1));
    record.opaque = true;
    const path = percentEncode(rest, C0_CONTROL);
    record.path = (hasQuery || hasFragment) && path.endsWith(" ") ? `${path.slice(0, -1)}%20` : path;
    return record;
  }
  if (base === null) return null;
  if (base.opaque) return text === "" && !hasQuery && hasFragment ? { ...base } : null;
  return base.scheme === "file" ? parseFile(text, base, hasQuery) : parseRelative(text, base, hasQuery);
}

// "Relative state" and "relative slash state".
function parseRelative(text, base, hasQuery) {
  const special = isSpecial(base);
  const isSlash = (c) => c === "/" || (special && c === "\\");
  if (isSlash(text[0])) {
    if (isSlash(text[1])) {
      return parseAuthority(blank(base.scheme), special ? text.replace(/^[/\\]+/, "") : text.slice(2));
    }
    return withPath(blank(base.scheme, base), [], text.slice(1));
  }
  if (text === "") return { ...base, query: hasQuery ? null : base.query, fragment: null };
  return withPath(blank(base.scheme, base), segmentsOf(base).slice(0, -1), text);
}

// "File state", "file slash state" and "file host state".
function parseFile(text, base, hasQuery) {
  const record = blank("file");
  record.host = "";
  if (SEPARATORS.test(text[0] ?? "")) {
    if (SEPARATORS.test(text[1] ?? "")) return parseFileHost(record, text.slice(2));
    const kept = [];
    if (base !== null) {
      record.host = base.host;
      const [first] = segmentsOf(base);
      if (!BEGINS_WITH_DRIVE.test(text.slice(1)) && NORMAL_DRIVE.test(first ?? "")) kept.push(first);
    }
    return withPath(record, kept, text.slice(1));
  }
  if (base === null) return withPath(record, [], text);
  record.host = base.host;
  if (text === "") return { ...base, query: hasQuery ? null : base.query, fragment: null };
  return withPath(record, BEGINS_WITH_DRIVE.test(text) ? [] : shortened("file", segmentsOf(base)), text);
}

function parseFileHost(record, text) {
  const end = text.search(SEPARATORS);
  const written = end < 0 ? text : text.slice(0, end);
  if (DRIVE.test(written)) return withPath(record, [], text);
  if (written !== "") {
    const host = parseHost(written, true);
    if (host === null) return null;
    record.host = host === "localhost" ? "" : host;
  }
  return withPath(record, [], end < 0 ? "" : text.slice(end + 1));
}

// "Authority state", "host state", "port state" and "path start state".
function parseAuthority(record, text) {
  const special = isSpecial(record);
  const end = special ? text.search(SEPARATORS) : text.indexOf("/");
  let place = end < 0 ? text : text.slice(0, end);
  const at = place.lastIndexOf("@");
  if (at >= 0) {
    const colon = place.indexOf(":");
    const named = colon >= 0 && colon < at;
    record.username = encodeUser(place.slice(0, named ? colon : at));
    if (named) record.password = encodeUser(place.slice(colon + 1, at));
    place = place.slice(at + 1);
    if (place === "") return null;
  }
  const [name, port] = splitPort(place);
  if (name === "" && (special || port !== null)) return null;
  record.host = name === "" ? "" : parseHost(name, special);
  if (record.host === null) return null;
  if (port !== null && !setPort(record, port, /^\d*$/)) return null;
  if (!special && end < 0) return record;
  return withPath(record, [], end < 0 ? "" : text.slice(end + 1));
}

/** [host, port or null], cut at the first colon that is not in brackets. */
export function splitPort(text) {
  let colon = text.indexOf(":");
  for (let open = text.indexOf("["); open >= 0 && open < colon; ) {
    const close = text.indexOf("]", open);
    if (close < 0) return [text, null];
    colon = text.indexOf(":", close);
    open = text.indexOf("[", close);
  }
  return colon < 0 ? [text, null] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Gives the record the port that the text begins with. False where the text is not of the pattern, or too large. */
export function setPort(record, text, pattern) {
  const digits = pattern.exec(text)?.[0];
  if (digits === undefined || digits > 65535) return false;
  if (digits !== "") record.port = Number(digits) === SPECIAL[record.scheme] ? null : Number(digits);
  else record.port = null;
  return true;
}

/** The segments of a path that has some. */
export const segmentsOf = (record) => (record.path === "" ? [] : record.path.slice(1).split("/"));

// Takes the last segment off, but for the drive of a file.
function shortened(scheme, segments) {
  if (scheme !== "file" || segments.length !== 1 || !NORMAL_DRIVE.test(segments[0])) segments.pop();
  return segments;
}

/** The record with its path: segments that it has, which are used up, then those of the text ("path state"). */
export function withPath(record, segments, text) {
  const isFile = record.scheme === "file";
  const slashed = text.includes("\\") && isSpecial(record) ? text.replaceAll("\\", "/") : text;
  if (!isFile && !MAY_HAVE_DOTS.test(slashed)) {
    const before = segments.length === 0 ? "/" : `/${segments.join("/")}/`;
    record.path = before + percentEncode(slashed, PATH);
    return record;
  }
  const written = slashed.split("/");
  const path = segments;
  for (let i = 0; i < written.length; i += 1) {
    const segment = written[i];
    const isLast = i === written.length - 1;
    const mayBeDots = segment.length <= LONGEST_DOTS && (segment[0] === "." || segment[0] === "%");
    if (mayBeDots && TWO_DOTS.test(segment)) {
      shortened(record.scheme, path);
      if (isLast) path.push("");
    } else if (mayBeDots && DOT.test(segment)) {
      if (isLast) path.push("");
    } else if (isFile && path.length === 0 && DRIVE.test(segment)) {
      path.push(`${segment[0]}:`);
    } else {
      path.push(segment);
    }
  }
  record.path = path.length === 0 ? "" : percentEncode(`/${path.join("/")}`, PATH);
  return record;
}

/** The URL as text. */
export function serialize(record, withFragment = true) {
  let text = `${record.scheme}:`;
  if (record.host !== null) {
    text += "//";
    if (record.username !== "" || record.password !== "") {
      text += record.password === "" ? `${record.username}@` : `${record.username}:${record.password}@`;
    }
    text += record.port === null ? record.host : `${record.host}:${record.port}`;
  } else if (!record.opaque && record.path.startsWith("//")) {
    text += "/.";
  }
  text += record.path;
  if (record.query !== null) text += `?${record.query}`;
  if (withFragment && record.fragment !== null) text += `#${record.fragment}`;
  return text;
}
