import page from "./parts/page.html";
import numbers from "parts/numbers";
import { name } from "./parts/old";
import typed from "./parts/typed.ts";
import bytes from "./parts/bytes.js";

export default {
  async fetch(request) {
    console.log("asked");
    const reached = await fetch("http://192.0.2.1/").then(() => "reached", () => "no network");
    return Response.json([page, numbers, name, typed, bytes.byteLength, reached]);
  },
};

export const admin = {
  fetch(request, env, ctx) {
    return new Response(`admin ${ctx.props}`);
  },
};
