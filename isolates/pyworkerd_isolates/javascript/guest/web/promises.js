// Promises as the algorithms of streams use them: a program that puts something else in the place of
// `Promise.prototype.then` does not get to see them.

const { then } = Promise.prototype;
const { apply } = Reflect;

/** `promise.then(done, failed)`. */
export const after = (promise, done, failed) => then.call(promise, done, failed);

/** Calls `done` or `failed` when a value, or what a promise promises, is there. */
export const upon = (value, done, failed) => {
  then.call(Promise.resolve(value), done, failed);
};

/** What WebIDL calls a promise resolved with a value: of another promise it is one that comes two turns later. */
export const promiseOf = (value) =>
  value instanceof Promise ? new Promise((resolve) => { resolve(value); }) : Promise.resolve(value);

/** The promise, whose rejection nobody has to look at. */
export function unwatched(promise) {
  then.call(promise, undefined, ignore);
  return promise;
}

/** A promise that is rejected, and that nobody has to look at. */
export const rejected = (reason) => unwatched(Promise.reject(reason));

export const ignore = () => {};

/** Calls a method that a worker wrote, and makes of what it throws a rejection. */
export function promiseCall(method, self, ...values) {
  try {
    return promiseOf(apply(method, self, values));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Calls a method that a worker wrote, or none. */
export const callIfAny = (method, self, ...values) => (method === undefined ? undefined : apply(method, self, values));

/** Makes a class one of the guest's own objects: what a program adds to `Object.prototype` they do not have. */
export function detach(ownClass) {
  Object.setPrototypeOf(ownClass.prototype, null);
  return ownClass;
}
