// The Durable Object that this isolate is, if it is one. What one is made of is in `objects`, which only an engine with
// storage has.

let make = null;
export let object = null;

// How an object is made of its class, id, pages, alarm, the number of pages that it may have, and its name or null.
export function setMaker(maker) {
  make = maker;
}

// Event: this isolate is an object. Once, after `init`.
export function become(...about) {
  object = make(...about);
}
