// Domains in ASCII (https://url.spec.whatwg.org/#idna, UTS 46 without transitional processing).
//
// The table of UTS 46 is large, and nearly all of it follows from what the engine knows of Unicode: its mapping is
// NFKC with case folding, without what is ignorable; what is valid follows from general categories. The rows below
// are where the table says otherwise; they were found by comparing all code points with the table of the Python package
// `idna`. Bidi classes are taken from scripts.

import { decodeLabel, encodeLabel } from "pyworkerd:web/punycode";

const MOST = 2048; // longer than any name can be; encoding is quadratic
const DOTS = /[\u3002\uff0e\uff61]/g;
// Joiners are kept, to be looked at in their context; marks of direction are kept, to be refused.
const IGNORED = /(?![\u061c\u200c-\u200f\u202a-\u202e\u2066-\u2069]|\p{Cn})\p{Default_Ignorable_Code_Point}/gu;
const FORBIDDEN_TAGS = /[\u{e0001}\u{e0020}-\u{e007f}]/u;
const INVALID =
  /[\p{Cn}\p{Co}\p{Cs}\p{Z}\u3002\u31ef\ufffc\ufffd\u2ff0-\u2fff]|(?![\u200c\u200d])[\p{Cc}\p{Cf}]/u;
// Where folding case is something else than taking the lower case: Greek with iota below, variants of Cyrillic, and
// Cherokee, whose capitals came first.
const FOLDED_BY_CAPITALS = new RegExp(
  "[\u0345\u03a3\u03f2\u03f9\u1c80-\u1c88\u1f80-\u1faf\u1fb2-\u1fb4\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc7\u1fcc\u1ff2-\u1ff4" +
    "\u1ff7\u1ffc]", "g",
);
const CHEROKEE = /[\u13f8-\u13fd\uab70-\uabbf]/g;
const RTL_SCRIPTS =
  "\\p{Script=Hebrew}\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Thaana}\\p{Script=Nko}\\p{Script=Samaritan}" +
  "\\p{Script=Mandaic}\\p{Script=Adlam}\\p{Script=Mende_Kikakui}\\p{Script=Phoenician}\\p{Script=Lydian}\u200f";
const RTL = new RegExp(`(?!\\p{Mn}|[\u06f0-\u06f9])[${RTL_SCRIPTS}]`, "u");
const LTR = new RegExp(`(?![${RTL_SCRIPTS}])\\p{L}`, "u");
const ENDS_RTL = new RegExp(`(?:(?!\\p{Mn})[${RTL_SCRIPTS}]|\\p{Nd})\\p{Mn}*$`, "u");
const BEGINS_RTL = new RegExp(`^(?!\\p{Mn}|[\u0660-\u0669\u06f0-\u06f9])[${RTL_SCRIPTS}]`, "u");
// Marks of canonical combining class 9, after which a joiner may stand.
const VIRAMAS =
  "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u0e3a\u0eba\u0f84\u1039\u103a\u1714" +
  "\u1715\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua82c\ua8c4\ua953\ua9c0\uaaf6\uabed";
const AFTER_VIRAMA = new RegExp(`[${VIRAMAS}]$`, "u");
const JOINING = /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Nko}\p{Script=Mongolian}\p{Script=Phags_Pa}]/u;

/** The domain in ASCII and lower case, or null where it cannot be one. */
export function domainToASCII(domain) {
  if (/^[\x00-\x7f]*$/.test(domain)) return domain.toLowerCase();
  if (domain.length > MOST || FORBIDDEN_TAGS.test(domain)) return null;
  const mapped = map(domain);
  if (mapped === null) return null;
  const labels = [];
  for (const label of mapped.split(".")) {
    const decoded = label.startsWith("xn--") ? meaning(label.slice(4)) : label;
    if (decoded === null || !isValid(decoded)) return null;
    labels.push(decoded);
  }
  if (labels.some((label) => RTL.test(label)) && !labels.every(keepsDirection)) return null;
  return labels.map((label) => (/[^\x00-\x7f]/.test(label) ? `xn--${encodeLabel(label)}` : label)).join(".");
}

function map(domain) {
  const text = domain.replace(DOTS, ".").replace(IGNORED, "");
  // A character that contains a dot would make two labels of one.
  const dots = text.split(".").length;
  // A final sigma that was written as one stays; what becomes one is any other sigma.
  const folded = text.split("ς").map(fold).join("ς");
  return folded.split(".").length === dots ? folded : null;
}

const lowerOfCapital = (c) => c.toUpperCase().toLowerCase();
const cherokeeCapital = (c) => String.fromCharCode(c.charCodeAt(0) - (c < "\uab70" ? 8 : 0xab70 - 0x13a0));

const fold = (text) =>
  text.replace(FOLDED_BY_CAPITALS, lowerOfCapital).toLowerCase().normalize("NFKC").toLowerCase()
    .replaceAll("ς", "σ").replace(CHEROKEE, cherokeeCapital).replace(IGNORED, "").normalize("NFC");

function meaning(text) {
  const label = decodeLabel(text);
  // What a name stands for has to be what encoding it would begin with.
  return label === null || label === "" || /^[\x00-\x7f]*$/.test(label) || map(label) !== label ? null : label;
}

function isValid(label) {
  return label === label.normalize("NFC") && !/^\p{M}/u.test(label) && !INVALID.test(label) && joinersFit(label);
}

// RFC 5892, appendices A.1 and A.2.
function joinersFit(label) {
  for (const { index, 0: joiner } of label.matchAll(/[\u200c\u200d]/g)) {
    const before = label.slice(0, index);
    if (AFTER_VIRAMA.test(before)) continue;
    const joins = JOINING.test(before.at(-1) ?? "") && JOINING.test(label[index + 1] ?? "");
    if (joiner === "\u200d" || !joins) return false;
  }
  return true;
}

// RFC 5893, section 2, as far as scripts tell.
function keepsDirection(label) {
  if (label === "") return true;
  return RTL.test(label) ? BEGINS_RTL.test(label) && !LTR.test(label) && ENDS_RTL.test(label) : !/^\p{Nd}/u.test(label);
}
