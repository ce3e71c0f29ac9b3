// Where compiled files come from: stacks are told with the lines that their author wrote.

const MARK = "\n//# pyworkerd-mappings=";
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PLACE = /(\/\S+?):(\d+):(\d+)/g;
// Names of the program's own files begin with "/".

const mappings = new Map();
// By path, as the compiler's host wrote them (ECMA-426), until somebody asks.

/** The text of a file without its mappings, which are kept. */
export function keepMappings(path, source) {
  const at = source.lastIndexOf(MARK);
  if (at < 0) return source;
  mappings.set(path, source.slice(at + MARK.length));
  return source.slice(0, at + 1);
}

const shifts = new Map();
// By path, the line that something stands before which is not the author's, and how long that is.

/** Say that a file's line begins with so many characters that were put there. */
export function noteShift(path, line, length) {
  shifts.set(path, [line, length]);
}

function shifted(path, line, column) {
  const [at, length] = shifts.get(path) ?? [];
  return at === line ? Math.max(column - length, 1) : column;
}

/** A stack with the places that its author knows, as far as they are known. */
export function authored(stack) {
  if (mappings.size === 0 && shifts.size === 0) return stack;
  const decoded = new Map();
  return stack.replace(PLACE, (place, path, line, at) => {
    const name = path.slice(1);
    const column = shifted(name, Number(line), Number(at));
    const known = mappings.get(name);
    if (known === undefined) return `${path}:${line}:${column}`;
    if (!decoded.has(path)) decoded.set(path, decode(known));
    const found = placeIn(decoded.get(path), Number(line) - 1, column - 1);
    return found === undefined ? place : `${path}:${found[0] + 1}:${found[1] + 1}`;
  });
}

// The segment that a place lies in: the last one that begins before it, if it is of the same line or of one above.
function placeIn(segments, line, column) {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const [at, from] = segments[middle];
    if (at < line || (at === line && from <= column)) low = middle + 1;
    else high = middle;
  }
  const segment = segments[low - 1];
  if (segment === undefined) return undefined;
  const [at, from, sourceLine, sourceColumn] = segment;
  return [sourceLine, at === line ? sourceColumn + column - from : sourceColumn];
}

// [line, column, line of the source, column of the source] for each segment.
function decode(text) {
  const segments = [];
  let [line, column, sourceLine, sourceColumn] = [0, 0, 0, 0];
  for (const group of text.split(";")) {
    for (const segment of group === "" ? [] : group.split(",")) {
      const [first, , second, third] = numbers(segment);
      column += first;
      sourceLine += second;
      sourceColumn += third;
      segments.push([line, column, sourceLine, sourceColumn]);
    }
    line += 1;
    column = 0;
  }
  return segments;
}

function numbers(segment) {
  const found = [];
  let value = 0;
  let shift = 0;
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    found.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return found;
}
