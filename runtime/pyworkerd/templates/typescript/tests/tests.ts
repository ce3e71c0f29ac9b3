// Each exported object with a `test` method is a test; it passes if it returns.

import assert from "node:assert";

export const greets = {
  async test(_: TestController, env: TestsEnv): Promise<void> {
    const response = await env.HELLO.fetch("http://hello/?name=<Ada>");
    assert.strictEqual(response.status, 200);
    assert.ok((await response.text()).includes("Hello, &#60;Ada&#62;!"));
  },
};

export const counts = {
  async test(_: TestController, env: TestsEnv): Promise<void> {
    const first = await env.HELLO.visit();
    assert.strictEqual(await env.HELLO.visit(), first + 1);
  },
};

export const misses = {
  async test(_: TestController, env: TestsEnv): Promise<void> {
    const response = await env.HELLO.fetch("http://hello/elsewhere");
    assert.strictEqual(response.status, 404);
  },
};
