// Punycode (RFC 3492), label by label.

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const INITIAL_BIAS = 72;
const INITIAL_N = 128;

function adapt(delta, points, first) {
  let rest = first ? Math.floor(delta / DAMP) : delta >> 1;
  rest += Math.floor(rest / points);
  let k = 0;
  for (; rest > ((BASE - T_MIN) * T_MAX) >> 1; k += BASE) rest = Math.floor(rest / (BASE - T_MIN));
  return k + Math.floor(((BASE - T_MIN + 1) * rest) / (rest + SKEW));
}

const threshold = (k, bias) => Math.min(T_MAX, Math.max(T_MIN, k - bias));
const digit = (value) => String.fromCharCode(value < 26 ? value + 97 : value + 22);

/** The label in ASCII, without the prefix `xn--`. Quadratic in its length, which is bounded by the caller. */
export function encodeLabel(label) {
  const points = Array.from(label, (c) => c.codePointAt(0));
  const output = points.filter((point) => point < 128).map((point) => String.fromCharCode(point));
  const basic = output.length;
  if (basic > 0) output.push("-");
  let n = INITIAL_N;
  let delta = 0;
  let bias = INITIAL_BIAS;
  for (let handled = basic; handled < points.length; delta += 1, n += 1) {
    const next = points.reduce((least, point) => (point >= n && point < least ? point : least), Infinity);
    delta += (next - n) * (handled + 1);
    n = next;
    for (const point of points) {
      if (point < n) delta += 1;
      if (point !== n) continue;
      let q = delta;
      for (let k = BASE; ; k += BASE) {
        const t = threshold(k, bias);
        if (q < t) break;
        output.push(digit(t + ((q - t) % (BASE - t))));
        q = Math.floor((q - t) / (BASE - t));
      }
      output.push(digit(q));
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled += 1;
    }
  }
  return output.join("");
}

/** What a label without its prefix stands for, or null. */
export function decodeLabel(text) {
  const split = text.lastIndexOf("-");
  const points = split > 0 ? Array.from(text.slice(0, split), (c) => c.codePointAt(0)) : [];
  if (points.some((point) => point >= 128)) return null;
  let n = INITIAL_N;
  let i = 0;
  let bias = INITIAL_BIAS;
  for (let position = split > 0 ? split + 1 : 0; position < text.length; i += 1) {
    const before = i;
    for (let weight = 1, k = BASE; ; k += BASE) {
      const code = text.charCodeAt(position);
      position += 1;
      const value = code >= 48 && code < 58 ? code - 22 : code >= 97 && code < 123 ? code - 97 : -1;
      if (value < 0) return null;
      i += value * weight;
      if (i > 0x7fffffff) return null;
      const t = threshold(k, bias);
      if (value < t) break;
      weight *= BASE - t;
    }
    const size = points.length + 1;
    bias = adapt(i - before, size, before === 0);
    n += Math.floor(i / size);
    i %= size;
    if (n > 0x10ffff) return null;
    points.splice(i, 0, n);
  }
  return String.fromCodePoint(...points);
}
