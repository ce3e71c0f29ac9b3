// What waits in a stream, first come first served: taking the first moves none of the others.

const MANY = 64; // places of what was taken that are kept before the rest moves up

export class Queue {
  #items = [];
  #begin = 0;

  get length() { return this.#items.length - this.#begin; }
  get first() { return this.#items[this.#begin]; }
  set first(item) { this.#items[this.#begin] = item; }

  push(item) { this.#items.push(item); }

  unshift(item) {
    if (this.#begin > 0) this.#items[--this.#begin] = item;
    else this.#items.unshift(item);
  }

  shift() {
    const item = this.#items[this.#begin];
    this.#items[this.#begin++] = undefined;
    if (this.#begin === this.#items.length) {
      this.#items.length = this.#begin = 0;
    } else if (this.#begin > MANY && 2 * this.#begin > this.#items.length) {
      this.#items.splice(0, this.#begin);
      this.#begin = 0;
    }
    return item;
  }

  /** All of them, which are in it no more. */
  takeAll() {
    const all = this.#items.slice(this.#begin);
    this.#items = [];
    this.#begin = 0;
    return all;
  }

  *[Symbol.iterator]() {
    yield* this.#items.slice(this.#begin);
  }
}
