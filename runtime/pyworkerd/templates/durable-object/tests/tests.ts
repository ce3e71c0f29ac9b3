// Each exported object with a `test` method is a test; it passes if it returns.

import assert from "node:assert";

export const counts = {
  async test(_: TestController, env: TestsEnv): Promise<void> {
    for (const expected of [1, 2]) {
      const response = await env.SITE.fetch("http://counters/a", { method: "POST" });
      assert.deepStrictEqual(await response.json(), { count: expected });
    }
  },
};

export const keepsNamesApart = {
  async test(_: TestController, env: TestsEnv): Promise<void> {
    await env.COUNTERS.getByName("/b").add();
    assert.strictEqual(await env.COUNTERS.getByName("/b").value(), 1);
    assert.strictEqual(await env.COUNTERS.getByName("/c").value(), 0);
  },
};
