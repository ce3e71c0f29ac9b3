const seen = [];

export default {
  fetch() {
    seen.push(Math.random());
    return new Response(`${seen.length} ${globalThis.before ?? "new"}${((globalThis.before = "old"), "")}`);
  },
};
