// What text is an IP address, for "node:net".

const BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const FOUR = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const LONGEST = 64; // characters of an address, and more than any has

export function isIPv4(text) {
  return typeof text === "string" && FOUR.test(text);
}

// Eight groups, of which "::" stands for one or more; the last two may be written as IPv4.
export function isIPv6(text) {
  if (typeof text !== "string" || text.length > LONGEST) return false;
  const [address, ...zone] = text.split("%");
  if (zone.length > 1 || (zone.length === 1 && !/^[0-9a-zA-Z._~-]+$/.test(zone[0]))) return false;
  const halves = address.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1);
  const hasFour = last !== undefined && isIPv4(last) && address.endsWith(last);
  const count = groups.length + (hasFour ? 1 : 0);
  const isWhole = groups.slice(0, hasFour ? -1 : groups.length).every((group) => GROUP.test(group));
  return isWhole && (halves.length === 2 ? count < 8 : count === 8);
}

export function isIP(text) {
  return isIPv4(text) ? 4 : (isIPv6(text) ? 6 : 0);
}
