// MIME types (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).

const TOKEN = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
const QUOTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;
const PARAMETER = /;[\t\n\r ]*([^;=]*)(?:=(?:"((?:[^"\\]|\\[^])*)\\?(?:"[^;]*|$)|([^;]*)))?/y;

/** { essence, parameters } of a type, with names in small letters; null for what is none. `parameters` is a Map. */
export function parseMime(text) {
  const found = /^[\t\n\r ]*([^/]+)\/([^;]+?)[\t\n\r ]*(?=;|$)/.exec(text);
  if (found === null || !TOKEN.test(found[1]) || !TOKEN.test(found[2])) return null;
  const parameters = new Map();
  PARAMETER.lastIndex = found[0].length;
  for (let each = PARAMETER.exec(text); each !== null && each[0] !== ""; each = PARAMETER.exec(text)) {
    const name = each[1].toLowerCase();
    const value = each[2] === undefined ? each[3]?.replace(/[\t\n\r ]+$/, "") : each[2].replace(/\\([^])/g, "$1");
    if (value === undefined || (value === "" && each[2] === undefined)) continue;
    if (TOKEN.test(name) && QUOTABLE.test(value) && !parameters.has(name)) parameters.set(name, value);
  }
  return { essence: `${found[1]}/${found[2]}`.toLowerCase(), parameters };
}

/** The text of such a type. */
export function serializeMime({ essence, parameters }) {
  let text = essence;
  for (const [name, value] of parameters) {
    text += `;${name}=${TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`;
  }
  return text;
}
