// Each service as its callers see it, with stores that are empty at first.

import assert from "node:assert";

type Test = { test(controller: TestController, env: TestsEnv): Promise<void> };

const here = (path: string) => `http://edge.test${path}`;

export const login: Test = {
  async test(_, { auth, front }) {
    assert.strictEqual((await auth.fetch(here("/me"))).status, 401);
    const body = new URLSearchParams({ name: "Ann" });
    const answer = await auth.fetch(here("/auth/login"), { method: "POST", body });
    assert.strictEqual(answer.status, 303);
    const cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
    assert.match(cookie, /^token=[0-9a-f-]{36}$/);
    const page = await (await front.fetch(here("/"), { headers: { cookie } })).text();
    assert.match(page, /Hello, Ann!/);
  },
};

export const items: Test = {
  async test(_, { catalog }) {
    const { items } = (await (await catalog.fetch(here("/catalog/items"))).json()) as { items: unknown[] };
    assert.deepStrictEqual(items[1], { name: "tea", price: 4.5 });
  },
};

export const homepage: Test = {
  async test(_, { front }) {
    const first = await (await front.fetch(here("/homepage"))).text();
    assert.ok(first.includes("<form") && first.endsWith("</html>\n"));
    assert.strictEqual((await front.fetch(here("/nowhere"))).status, 404);
  },
};
