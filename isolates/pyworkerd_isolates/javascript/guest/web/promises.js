// Promises as the algorithms of streams use them.

/** Calls `done` or `failed` when a value, or what a promise promises, is there. */
export const upon = (value, done, failed) => {
  Promise.resolve(value).then(done, failed);
};

/** A promise that is rejected, and that nobody has to look at. */
export function rejected(reason) {
  const promise = Promise.reject(reason);
  promise.catch(ignore);
  return promise;
}

export const ignore = () => {};

/** Calls a method that a worker wrote, and makes of what it throws a rejection. */
export function promiseCall(method, self, ...values) {
  try {
    return Promise.resolve(method.apply(self, values));
  } catch (error) {
    return Promise.reject(error);
  }
}
