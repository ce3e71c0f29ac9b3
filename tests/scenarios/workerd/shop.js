import { Menu } from "shop:menu";

// What is internal, by every way there is.
const INTERNAL = [
  "shop-internal:kitchen", "./shop-internal:kitchen", "/shop-internal:kitchen", "../shop-internal:kitchen",
  "pyworkerd:wrapper/shop:binding", "shop:binding", "./shop:menu",
];

export default {
  async fetch(request, env) {
    const reached = [];
    for (const name of INTERNAL) await import(name).then(() => reached.push(name), () => {});
    let broken;
    try {
      env.broken;
    } catch (error) {
      broken = error.message;
    }
    return Response.json({
      own: new Menu({ meat: ["rice", "meat"] }).make("meat"),
      wrapped: env.menu.make("veggie"),
      same: env.menu === env.menu,
      inner: "recipes" in env || "menu/recipes" in env,
      where: await env.where,
      broken,
      reached,
    });
  },
};
