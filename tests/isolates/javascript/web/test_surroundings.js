// performance and navigator.

test("performance tells the time of the step", async () => {
  const start = performance.now();
  await scheduler.wait(20);
  equal([performance.now() - start, performance.timeOrigin, performance.toJSON()], [20, 0, { timeOrigin: 0 }]);
});

test("navigator says that these are Workers", async () => {
  equal([navigator.userAgent, String(navigator)], ["Cloudflare-Workers", "[object Navigator]"]);
  await fails(() => new Navigator(), "Illegal constructor");
  await fails(() => new Performance(), "Illegal constructor");
});
