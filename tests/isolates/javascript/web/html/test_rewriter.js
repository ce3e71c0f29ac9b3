// HTMLRewriter: what handlers are given, what they change, and what goes out.

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const rewrite = (html, ...rules) => {
  const rewriter = new HTMLRewriter();
  for (const [selector, handlers] of rules) {
    if (selector === null) rewriter.onDocument(handlers);
    else rewriter.on(selector, typeof handlers === "function" ? { element: handlers } : handlers);
  }
  return rewriter.transform(html instanceof Response ? html : new Response(html));
};
const text = (...args) => rewrite(...args).text();
const pieces = (html, size) => {
  const bytes = new TextEncoder().encode(html);
  const cut = [];
  for (let at = 0; at < bytes.length; at += size) cut.push(bytes.slice(at, at + size));
  return new Response(ReadableStream.from(cut));
};

test("what nobody changes goes out as it came", async () => {
  const html = "<!DOCTYPE html><P CLASS=a  b = 'c'>x &amp y<!-- z --><br/></P >\0<svg><![CDATA[a>]]></svg></>";
  equal(await text(html), html);
  equal(await text(html, ["*", { element() {}, comments() {}, text() {} }], [null, { doctype() {}, end() {} }]), html);
  const bytes = Uint8Array.of(60, 112, 62, 0xff, 0xc3, 0x28, 0xe2, 0x82, 60, 0x80, 62);
  equal([...(await rewrite(new Response(bytes), ["p", { text() {} }]).bytes())], [...bytes]);
});

test("the response is another one, without the length of the first", async () => {
  const first = new Response("<p>x</p>", { status: 404, statusText: "No", headers: { "x-a": "1", "content-length": "8" } });
  const second = new HTMLRewriter().transform(first);
  equal([second.status, second.statusText, [...second.headers]], [404, "No", [["content-type", "text/plain;charset=UTF-8"], ["x-a", "1"]]]);
  equal([first.bodyUsed, second.bodyUsed, first.headers.get("content-length")], [true, false, "8"]);
  second.headers.set("x-b", "2");
  equal(await second.text(), "<p>x</p>");
  await fails(() => new HTMLRewriter().transform(first), "TypeError", "already been used");
  const none = new Response(null, { status: 204 });
  equal(new HTMLRewriter().transform(none) === none, true);
  await fails(() => new HTMLRewriter().transform("<p>"), "TypeError", "must be a Response");
});

test("content is inserted around an element and in it", async () => {
  const all = (e) => {
    e.before("<1>").before("<2>", { html: true }).after("<3>").after("<4>", { html: true });
    e.prepend("5").prepend("6", null).append("7").append("8", {});
  };
  equal(await text("<b>x</b>y", ["b", all]), "&lt;1&gt;<2><b>65x78</b><4>&lt;3&gt;y");
  equal(await text("<br>y", ["br", all]), "&lt;1&gt;<2><br><4>&lt;3&gt;y");
  equal(await text("<b><b>x</b></b>", ["b", (e) => e.append("!")]), "<b><b>x!</b>!</b>");
});

test("an element is removed or replaced, with its content or without", async () => {
  const html = "<a>1<i>2</i></a><b>3</b>";
  equal(await text(html, ["a", (e) => e.remove()]), "<b>3</b>");
  equal(await text(html, ["a", (e) => e.removeAndKeepContent()]), "1<i>2</i><b>3</b>");
  equal(await text(html, ["a", (e) => e.replace("<x>").replace("<y>", { html: true })]), "<y><b>3</b>");
  equal(await text(html, ["a", (e) => e.setInnerContent("<x>")]), "<a>&lt;x&gt;</a><b>3</b>");
  equal(await text(html, ["a", (e) => e.append("0").setInnerContent("").append("9").prepend("8")]), "<a>89</a><b>3</b>");
  equal(await text(html, ["a", (e) => e.before("[").after("]").replace("x")]), "[x]<b>3</b>");
  equal(await text("<br>x", ["br", (e) => e.setInnerContent("y").remove()]), "x");
  const removed = [];
  await text("<a></a>", ["a", (e) => removed.push(e.removed, e.remove().removed)]);
  equal(removed, [false, true]);
});

test("in what is removed handlers are called, and nothing goes out", async () => {
  const seen = [];
  const html = "<a>1<i>2<!--3--></i></a>4";
  const out = await text(html, ["a", (e) => e.remove()], ["i", {
    element(e) { seen.push(e.tagName); e.before("x").after("y").append("z"); },
    comments(c) { seen.push(c.text); },
    text(t) { seen.push(t.text); },
  }]);
  equal([out, seen], ["4", ["i", "2", "", "3"]]);
});

test("attributes are read as they stand, and written", async () => {
  const seen = [];
  const html = `<P Id=x CLASS='a "b"' data-x="&amp;" empty e2 id=y>`;
  const out = await text(html, ["p", (e) => {
    seen.push(e.tagName, [...e.attributes], e.getAttribute("ID"), e.hasAttribute("class"), e.getAttribute("none"));
    e.setAttribute("Class", `c"d`).setAttribute("new", 1).removeAttribute("empty").removeAttribute("absent");
    seen.push(e.getAttribute("class"), e.hasAttribute("empty"));
  }]);
  equal(seen, ["p", [["id", "x"], ["class", 'a "b"'], ["data-x", "&amp;"], ["empty", ""], ["e2", ""], ["id", "y"]], "x",
    true, null, 'c"d', false]);
  equal(out, `<P Id=x class="c&quot;d" data-x="&amp;" e2 id=y new="1">`);
  equal(await text("<img src=a><svg/>", ["img, svg", (e) => e.setAttribute("b", "")]), `<img src=a b=""><svg b="" />`);
  for (const name of ["", "a b", "a=", "a>", "/"]) {
    await fails(text("<p>", ["p", (e) => e.setAttribute(name, "x")]), "TypeError", "Parser error:");
  }
  await fails(text("<p>", ["p", (e) => e.getAttribute()]), "TypeError", "1 argument required");
});

test("a tag is renamed, with its end", async () => {
  equal(await text("<a x=1>y</A ><a><br>", ["a, br", (e) => { e.tagName = "Tail"; }]), "<Tail x=1>y</Tail><Tail><Tail>");
  await fails(text("<a>", ["a", (e) => { e.tagName = "a b"; }]), "` ` character is forbidden in the tag name");
  await fails(text("<a>", ["a", (e) => { e.tagName = "1"; }]), "The first character of the tag name");
  await fails(text("<a>", ["a", (e) => { e.tagName = ""; }]), "Tag name can't be empty.");
});

test("texts arrive in pieces, the last of which is empty", async () => {
  const seen = [];
  const out = await text(pieces("<p>häß<i>lich</i>&lt;</p>no", 9), ["p", {
    text(t) {
      seen.push(t.lastInTextNode ? "|" : t.text);
      if (t.text === "lich") t.before("<").after(">", { html: true }).replace("x");
    },
  }]);
  equal(seen.join(""), "häß|lich|&lt;|");
  equal(out, "<p>häß<i>&lt;x></i>&lt;</p>no");
  equal(await text("<p>a</p>b", ["p", { text(t) { if (!t.lastInTextNode) t.remove(); } }]), "<p></p>b");
  equal(await text("a", [null, { text(t) { if (t.lastInTextNode) t.replace("z"); } }]), "az");
});

test("a character is never cut, and a malformed one only seen as such", async () => {
  const seen = [];
  const html = "<p>€\u{1f600}</p>";
  equal(await text(pieces(html, 1), ["p", { text(t) { seen.push(t.text); } }]), html);
  equal(seen, ["€", "\u{1f600}", ""]);
  const broken = Uint8Array.of(60, 112, 62, 0xe2, 0x82, 60, 47, 112, 62);
  const bytes = await rewrite(new Response(ReadableStream.from(Array.from(broken, (each) => Uint8Array.of(each)))), ["p", {
    text(t) { seen.push(t.text); },
  }]).bytes();
  equal([[...bytes], seen.slice(3)], [[...broken], ["\ufffd", ""]]);
  for (const last of ["</>", "<a", "</p"]) {
    const cut = Uint8Array.of(0xe2, 0x82, ...new TextEncoder().encode(last));
    equal([...(await rewrite(new Response(cut), [null, { text() {} }]).bytes())], [...cut]);
  }
});

test("comments are read and changed, wherever they are", async () => {
  const seen = [];
  const html = "<!--0--><p><!-- a --><!b><?c></p><!--d-->";
  const inside = await text(html, ["p", { comments(c) { seen.push(c.text); } }]);
  equal([inside, seen], [html, [" a ", "b", "?c"]]);
  const out = await text(html, [null, {
    comments(c) {
      if (c.text === "0") c.text = "zero";
      if (c.text === " a ") c.before("[").after("]").replace("x");
      if (c.text === "d") c.remove();
    },
  }]);
  equal(out, "<!--zero--><p>[x]<!b><?c></p>");
  for (const bad of ["a-->", ">", "->", "a--!>b"]) {
    await fails(text("<!--x-->", [null, { comments(c) { c.text = bad; } }]), "comment closing sequence");
  }
});

test("the document type is read", async () => {
  const seen = [];
  const doctype = (d) => { seen.push([d.name, d.publicId, d.systemId]); };
  const types = ["<!DOCTYPE html>", '<!doctype HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" \'s\'>', "<!doctype x system 'y'>", "<!doctype>"];
  equal(await text(types.join(""), [null, { doctype }]), types.join(""));
  equal(seen, [["html", null, null], ["html", "-//W3C//DTD HTML 4.01//EN", "s"], ["x", null, "y"], [null, null, null]]);
});

test("at the end something can be appended", async () => {
  const end = (e) => { e.append("<1>").append("<2>", { html: true }); };
  equal(await text("<p>x", [null, { end }]), "<p>x&lt;1&gt;<2>");
  equal(await text(pieces("", 1), [null, { end }]), "&lt;1&gt;<2>");
});

test("end tags have handlers, where there is one", async () => {
  const seen = [];
  const on = (e) => e.onEndTag((end) => { seen.push(end.name); });
  equal(await text("<p>1<i>2</p>3<p>4", ["p, i", on]), "<p>1<i>2</p>3<p>4");
  equal(seen, ["p"]);
  const all = (e) => {
    e.append("a").after("b");
    e.onEndTag(() => { throw new Error("replaced by the next"); });
    e.onEndTag((end) => { end.before("c").after("d"); end.name = "q"; });
  };
  equal(await text("<p>x</P>", ["p", all]), "<p>xac</q>db");
  equal(await text("<p>x</p>y", ["p", (e) => e.onEndTag((end) => end.remove())]), "<p>xy");
  await fails(text("<br>", ["br", (e) => e.onEndTag(() => {})]), "No end tag.");
  await fails(text("<p>", ["p", (e) => e.onEndTag("x")]), "TypeError", "must be a function");
});

test("an element without an end tag ends where another one does, or the document", async () => {
  const mark = (e) => e.append(`/${e.tagName}`).after("|");
  equal(await text("<ul><li>1<li>2</ul>3", ["li", mark]), "<ul><li>1<li>2/li|/li|</ul>3");
  equal(await text("<body>x", ["body", mark]), "<body>x/body|");
  equal(await text("<p>1<i>2</p>3", ["i", (e) => e.remove()]), "<p>1</p>3");
  equal(await text("<p>1</i>2</p>", ["p", mark]), "<p>1</i>2/p</p>|");
  equal(await text("<svg><g>1<p>2</p></svg>", ["g", mark]), "<svg><g>1/g|<p>2</p></svg>");
});

test("what looks like markup in scripts, styles and titles is none", async () => {
  const html = "<title><b></title><script>'<b></b>'<!--<script><b></script>--></script><style><b></style><textarea><b></textarea><b>";
  const seen = [];
  equal(await text(html, ["b", (e) => e.after("!")], ["*", (e) => { seen.push(e.tagName); }]), `${html}!`);
  equal(seen, ["title", "script", "style", "textarea", "b"]);
  equal(await text("<plaintext></plaintext><b>", ["b", (e) => e.remove()]), "<plaintext></plaintext><b>");
  equal(await text("<b></b><svg><title><b></b></title><style><g/></style></svg>", ["b, g", (e) => e.remove()]), "<svg><title></title><style></style></svg>");
});

test("foreign elements have their namespace, and HTML in them its own", async () => {
  const seen = [];
  const html = `<svg><a/><foreignObject><p></p><svg/></foreignObject></svg><math><mi><b></b><mglyph></mglyph></mi>
    <annotation-xml encoding="Text/HTML"><i></i></annotation-xml><annotation-xml><u></u></annotation-xml></math><em></em>
    <svg><font></font><font color=x></font></svg>`;
  await text(html, ["*", (e) => { seen.push(`${e.tagName}:${e.namespaceURI.split("/").at(-1).slice(0, 2)}`); }]);
  equal(seen.join(" "), "svg:sv a:sv foreignobject:sv p:xh svg:sv math:Ma mi:Ma b:xh mglyph:Ma annotation-xml:Ma i:xh " +
    "annotation-xml:Ma u:xh em:xh svg:sv font:sv font:xh");
});

test("a CDATA section is text in foreign content, and a comment elsewhere", async () => {
  const seen = [];
  const log = { comments(c) { seen.push(`c:${c.text}`); }, text(t) { if (t.text) seen.push(`t:${t.text}`); } };
  await text("<svg><![CDATA[<b>]]></svg><![CDATA[<b>]]>", [null, log]);
  equal(seen, ["t:<b>", "c:[CDATA[<b", "t:]]>"]);
});

test("handlers may be asynchronous, and come one after the other", async () => {
  const seen = [];
  const slow = (name, ms) => async (token) => { await wait(ms); seen.push(name); token.before?.(name); };
  const out = await text(pieces("<p>x<!--y--></p>", 3), ["p", { element: slow("e", 9), text: slow("t", 5), comments: slow("c", 5) }],
    ["p", (e) => { seen.push("second"); e.onEndTag(slow("end", 3)); }], [null, { end: slow("last", 1) }]);
  equal(seen, ["e", "second", "t", "t", "c", "end", "last"]);
  equal(out, "e<p>txtc<!--y-->end</p>");
  const other = await text("<p>", ["p", async (e) => { e.append("a"); await null; e.setAttribute("b", "c"); }]);
  equal(other, `<p b="c">a`);
});

test("what a handler throws, the body does", async () => {
  for (const kind of ["element", "text", "comments"]) {
    const handlers = { [kind]() { throw new RangeError("boom"); } };
    await fails(text("<p>x<!--y--></p>", ["p", handlers]), "RangeError: boom");
    await fails(text("<p>x<!--y--></p>", ["p", { async [kind]() { throw new RangeError("boom"); } }]), "RangeError: boom");
  }
  let cancelled = null;
  const source = new ReadableStream({
    pull(controller) { controller.enqueue(new TextEncoder().encode("<p>")); },
    cancel(reason) { cancelled = reason.message; },
  });
  const response = rewrite(new Response(source), ["p", () => { throw new Error("boom"); }]);
  await fails(response.text(), "boom");
  equal(cancelled, "boom");
  await fails(text(new Response(ReadableStream.from(["<p>"]))), "TypeError", "something else than Uint8Arrays");
});

test("a token is good for one call of one handler", async () => {
  const kept = [];
  const keep = (token) => { kept.push(token); };
  await text("<!doctype html><p a=b>x<!--y--></p>", [null, { doctype: keep, end: keep }],
    ["p", { element(e) { keep(e); keep(e.attributes); e.onEndTag(keep); }, text: keep, comments: keep }],
    ["p", (e) => { kept.push(e.mine); kept[1].mine = 1; }]);
  equal(kept.some((each) => each === undefined), true);
  const uses = { Doctype: "name", Element: "tagName", Iterator: "next", EndTag: "name", Text: "text", Comment: "text", DocumentEnd: "append" };
  for (const token of kept.filter(Boolean)) {
    const name = uses[token[Symbol.toStringTag]];
    await fails(() => (typeof token[name] === "function" ? token[name]("x") : token[name]), "TypeError", "no longer valid");
  }
  await fails(() => kept[1].getAttribute("a"), "This content token is no longer valid.");
  const foreign = Object.getPrototypeOf(kept[1]);
  await fails(() => new foreign.constructor(), "TypeError", "Illegal constructor");
});

test("streams and responses are inserted as they come", async () => {
  const stream = (...texts) => ReadableStream.from(texts.map((each) => new TextEncoder().encode(each)));
  equal(await text("<p></p>", ["p", (e) => {
    e.prepend(stream("<i>", "1"), { html: true });
    e.append(new Response("<2>"));
    e.after(new Response(null)).before(stream("\u20ac"));
  }]), "€<p><i>1&lt;2&gt;</p>");
  await fails(text("<p>", ["p", (e) => { const used = new Response("x"); used.text(); e.append(used); }]), "already been used");
  const failing = new ReadableStream({ pull() { throw new Error("broken"); } });
  await fails(text("<p></p>", ["p", (e) => { e.append(failing); }]), "broken");
});

test("a document may be in another encoding than UTF-8", async () => {
  const bytes = Uint8Array.of(60, 112, 32, 97, 61, 0xe4, 62, 0x80, 60, 47, 112, 62);
  const response = () => new Response(bytes, { headers: { "content-type": "text/html; charset=ISO-8859-1" } });
  const seen = [];
  const out = await rewrite(response(), ["[a=ä]", {
    element(e) { seen.push(e.getAttribute("a")); e.append("öЖ").setAttribute("b", "€"); },
    text(t) { seen.push(t.text); },
  }]).bytes();
  equal(seen, ["ä", "€", ""]);
  equal(new TextDecoder("latin1").decode(out), `<p a=ä b="€">€ö&#1046;</p>`);
  await fails(rewrite(response(), ["p", (e) => { e.tagName = "жук"; }]).text(), "first character");
  await fails(rewrite(response(), ["p", (e) => { e.tagName = "aЖ"; }]).text(), "can't be represented");
  for (const [label, message] of [["nonsense", "Unknown character encoding"], ["utf-16le", "ASCII-compatible"]]) {
    const other = new Response("x", { headers: { "content-type": `text/html;charset="${label}"` } });
    await fails(() => new HTMLRewriter().transform(other), "TypeError", `Parser error: `, message);
    equal(await other.text(), "x");
  }
});

test("a character of several bytes may look like markup", async () => {
  const bytes = Uint8Array.from([60, 112, 62, 0x83, 0x5c, 0x83, 0x7c, 0xb1, 60, 47, 112, 62]); // <p>ソポｱ</p>
  const source = ReadableStream.from(Array.from(bytes, (each) => Uint8Array.of(each)));
  const seen = [];
  const out = await rewrite(new Response(source, { headers: { "content-type": "text/html; charset=shift_jis" } }), ["p", {
    element(e) { e.append("ｱ日"); },
    text(t) { seen.push(t.text); },
  }]).bytes();
  equal(seen, ["ソ", "ポ", "ｱ", ""]);
  equal([...out], [...bytes.slice(0, 8), 0xb1, ...new TextEncoder().encode("&#26085;</p>")]);
});

test("bodies are read as far as they are wanted", async () => {
  let pulled = 0;
  const source = new ReadableStream({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new TextEncoder().encode("<p>".repeat(1000)));
    },
  }, { highWaterMark: 0 });
  const reader = rewrite(new Response(source), ["p", (e) => e.prepend("x".repeat(100))]).body.getReader();
  equal(pulled, 0);
  const { value } = await reader.read();
  equal([pulled, value.length > 0 && value.length < 200000], [1, true]);
  await reader.cancel();
});

test("an attribute that is removed is not there a second time", async () => {
  const remove = (e) => { e.removeAttribute("onClick"); equal(e.hasAttribute("onclick"), false); };
  equal(await text("<p a onclick=1 ONCLICK='2' b onclick>", ["p", remove]), "<p a b>");
  equal(await text("<p a  b>", ["p", remove]), "<p a  b>");
});

test("where nobody reads any more, no other handler is called", async () => {
  const called = [];
  const waits = Promise.withResolvers();
  const handlers = { async element(e) { called.push("element"); e.remove(); await waits.promise; } };
  const reader = rewrite("<p></p><p></p>", ["p", handlers], [null, { end() { called.push("end"); } }]).body.getReader();
  const reading = reader.read();
  await wait(1);
  await reader.cancel();
  equal((await reading).done, true);
  waits.resolve();
  await wait(1);
  equal(called, ["element"]);
});

test("what was to be inserted hears that nobody reads", async () => {
  const cancelled = [];
  const stream = (name) => new ReadableStream({ cancel(reason) { cancelled.push(`${name} ${reason}`); } });
  const append = (e) => { e.append(stream(e.getAttribute("id"))); };
  const reader = rewrite("<p id=1></p><p id=2></p>", ["p", append]).body.getReader();
  await reader.read();
  await reader.cancel("gone");
  equal(cancelled.sort(), ["1 gone", "2 gone"]);
  cancelled.length = 0;
  const fail = (e) => { append(e); if (e.hasAttribute("last")) throw "failed"; };
  await fails(text("<p id=1></p><p id=2 last></p>", ["p", fail]), "failed");
  equal(cancelled, ["1 failed"]);
});

test("handlers are functions of their object, and what else is given is refused", async () => {
  const handlers = { seen: 0, element() { this.seen += 1; } };
  await text("<p><p>", ["p", handlers]);
  equal(handlers.seen, 2);
  await fails(() => new HTMLRewriter().on("p", { element: 1 }), "TypeError", "`element` must be a function");
  await fails(() => new HTMLRewriter().on("p"), "TypeError", "2 arguments required");
  await fails(() => new HTMLRewriter().on("p", "x"), "TypeError");
  await fails(() => HTMLRewriter(), "TypeError");
  const rewriter = new HTMLRewriter();
  equal([rewriter.on("p", {}) === rewriter, rewriter.onDocument({}) === rewriter, `${rewriter}`], [true, true, "[object HTMLRewriter]"]);
});

test("one rewriter serves many responses", async () => {
  let count = 0;
  const rewriter = new HTMLRewriter().on("p", { element(e) { e.append(String(count += 1)); } });
  const both = [rewriter.transform(new Response("<p></p>")), rewriter.transform(new Response("<p></p>"))];
  equal(await Promise.all(both.map((each) => each.text())), ["<p>1</p>", "<p>2</p>"]);
});

test("elements may have many names", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `x${i}`);
  const html = names.map((name) => `<${name}>`).join("") + names.reverse().map((name) => `</${name}>`).join("");
  equal(await text(html + html, ["x7", (e) => e.prepend("!")]), (html + html).replaceAll("<x7>", "<x7>!"));
  equal(await text(html, ["x2999", (e) => e.after("!")]), html.replace("</x2999>", "</x2999>!"));
  equal(await text(`<b>${html}</b>`, ["b > x0", (e) => e.after("!")]), `<b>${html}!</b>`);
});

test("what would take too much memory is refused", async () => {
  const limit = "TypeError: Parser error: The memory limit has been exceeded.";
  await fails(text("<p>".repeat(65537), ["b", () => {}]), limit);
  await fails(text(`<p ${"a ".repeat(65537)}>`, ["p[b]", () => {}]), limit);
  for (const begun of ["<p a='", "<p", "<!--", "<!doctype ", "</p "]) {
    await fails(text(`${begun}${"x".repeat(3 << 20)}${"y".repeat(1 << 17)}`, ["b", () => {}]), limit);
  }
  const long = `<p a="${"x".repeat(2 << 20)}">`;
  equal((await text(long, ["p", () => {}])).length, long.length);
});
