// Hostile documents, and hostile programs that rewrite them: each path is an attack. (Used by `test_html.py`.)

const nothing = { element() {}, comments() {}, text() {} };
const respond = async (html, ...rules) => {
  const rewriter = new HTMLRewriter();
  for (const [selector, handlers] of rules) rewriter.on(selector, handlers);
  const bytes = await rewriter.transform(new Response(html)).bytes();
  return new Response(String(bytes.length));
};
const endless = (text) => {
  const bytes = new TextEncoder().encode(text.repeat(Math.ceil(65536 / text.length)));
  return new ReadableStream({ pull(controller) { controller.enqueue(bytes.slice()); } });
};
// All of a body, and nothing of it kept.
const drain = async (html, ...rules) => {
  const rewriter = new HTMLRewriter();
  for (const [selector, handlers] of rules) rewriter.on(selector, handlers);
  for await (const piece of rewriter.transform(new Response(html)).body) void piece;
  return new Response("drained");
};

const MODES = {
  async nested() { return drain(endless("<b>"), ["i", nothing]); },
  async nested_and_meant() { return drain(endless("<b>"), ["b b b", nothing]); },
  async foreign() { return drain(endless("<svg><desc>"), ["svg desc", nothing]); },
  async attributes() { return respond(`<p ${"a ".repeat(1_000_000)}>`, ["[b]", nothing]); },
  async long_tag() { return drain(new Response(endless("x")).body.pipeThrough(before("<p a='")), ["p", nothing]); },
  async long_name() { return drain(new Response(endless("x")).body.pipeThrough(before("<p")), ["p", nothing]); },
  async long_comment() { return drain(new Response(endless("-- ")).body.pipeThrough(before("<!--")), ["p", nothing]); },
  async names() {
    let count = 0;
    const pull = (controller) => {
      const tags = Array.from({ length: 1000 }, () => `<x${count++}>`).join("");
      controller.enqueue(new TextEncoder().encode(tags));
    };
    return drain(new ReadableStream({ pull }), ["*:nth-of-type(2)", nothing]);
  },
  async stray_ends() { return drain(endless("</b></i>"), ["b", nothing]); },
  async dashes() { return drain(new Response(endless("-")).body.pipeThrough(before("<script><!--")), ["p", nothing]); },
  async growth() {
    return respond("<p></p>".repeat(10_000), ["p", { element(e) { e.append("x".repeat(1_000_000)); } }]);
  },
  async one_element() { return respond("<p></p>", ["p", { element(e) { for (;;) e.append("x".repeat(1000)); } }]); },
  async inserted() { return respond("<p></p>", ["p", { element(e) { e.append(endless("x")); } }]); },
  async throws() { return respond("<p></p>", ["p", { element() { throw null; } }]); },
  async throws_proxy() {
    return respond("<p></p>", ["p", { element() { return new Proxy({}, { get() { throw new Error("trap"); } }); } }]);
  },
  async never() {
    const stuck = respond("<p></p>", ["p", { element: () => new Promise(() => {}) }]);
    return Promise.race([stuck, new Promise((resolve) => setTimeout(resolve, 5, new Response("gave up")))]);
  },
  async thenable() { return respond("<p></p>", ["p", { element: () => ({ then() { for (;;); } }) }]); },
  async long_selector() { return respond("<p>", ["a ".repeat(1_000_000), nothing]); },
  async deep_not() { return respond("<p>", [":not(".repeat(3000), nothing]); },
  async many_steps() { return respond("<a>".repeat(10_000), ["a ".repeat(8000), nothing], ["* ".repeat(8000), nothing]); },
  async many_rules() { return respond("<p>".repeat(1000), ...Array.from({ length: 10_000 }, () => ["p", nothing])); },
  async chain() {
    let response = new Response("<p>x</p>");
    for (let i = 0; i < 10_000; i++) response = new HTMLRewriter().on("p", nothing).transform(response);
    return new Response(await response.text());
  },
  async itself() {
    const rewriter = new HTMLRewriter();
    rewriter.on("p", { async element() { await rewriter.transform(new Response("<p>")).text(); } });
    return rewriter.transform(new Response("<p>"));
  },
  async pollution() {
    for (const name of ["name", "value", "then", "html", "body", "isLight", "open"]) {
      Object.defineProperty(Object.prototype, name, { get() { throw new Error(name); }, set() {}, configurable: true });
    }
    return respond("<p a=b>x<svg>", ["p[a]", nothing]);
  },
};

function before(text) {
  let begun = false;
  return new TransformStream({
    transform(chunk, controller) {
      if (!begun) controller.enqueue(new TextEncoder().encode(text));
      begun = true;
      controller.enqueue(chunk);
    },
  });
}

export default {
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    return name === "" ? new Response("fine") : MODES[name]();
  },
};
