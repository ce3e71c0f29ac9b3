// Selectors: what they mean, and what is refused.

const found = async (selector, html) => {
  const seen = [];
  await new HTMLRewriter().on(selector, { element(e) { seen.push(e.getAttribute("n") ?? e.tagName); } })
    .transform(new Response(html)).text();
  return seen.join("");
};

const PAGE = `<main n=a id=top class="x Y"><p n=b class=x></p><div n=c><p n=d data-k="One two"></p><P n=e lang=en-US></P></div>
  <ul n=f><li n=g><li n=h type=A></ul><span n=i class><b n=j title='a"]b'></b></span><br n=k><p n=l hidden></p></main>`;

test("elements are found by type, class, id and attribute", async () => {
  const cases = {
    p: "bdel", P: "bdel", "*": "abcdefghijkl", ".x": "ab", ".Y": "a", ".y": "", "#top": "a", "#Top": "", "p.x": "b",
    "main#top.x.Y": "a", "[hidden]": "l", "[HIDDEN]": "l", "[n=b]": "b", '[n="b"]': "b", "[n='B' i]": "b", "[n=B s]": "",
    "[data-k~=two]": "d", "[data-k~=tw]": "", '[data-k~=""]': "", '[data-k="one TWO"i]': "d", "[data-k^=One]": "d",
    "[data-k$=two]": "d", "[data-k*='e t']": "d", '[data-k*=""]': "", "[lang|=en]": "e", "[lang|=en-us i]": "e",
    "[type=a]": "h", "[type=a s]": "", "[lang=EN-us]": "e", '[title="a\\"]b"]': "j", "[title='a\\22 ]b']": "j",
    "[ n = b ]": "b", "[class]": "abi", '[class=""]': "i", "p:not(.x)": "del", ":not(p, li, b)": "acfik",
    "*:not(*)": "", "p:not([n=b]):not([n=d])": "el", "\\70": "bdel", "/* c */p/**/.x": "b",
  };
  for (const [selector, wanted] of Object.entries(cases)) equal([selector, await found(selector, PAGE)], [selector, wanted]);
});

test("elements are found by where they are", async () => {
  const cases = {
    "main p": "bdel", "main > p": "bl", "main>p": "bl", "main div p": "de", "div > p, ul li": "degh", "main main": "",
    "ul > li": "g", "ul li li": "h", "li > li": "h", "body p": "", "main > div > p[lang]": "e", "main p , main p": "bdel",
    "#top .x": "b", "* > * > *": "deghj",
  };
  for (const [selector, wanted] of Object.entries(cases)) {
    equal([selector, await found(selector, PAGE)], [selector, wanted]);
  }
});

test("elements are found by their place", async () => {
  const html = "<i n=1></i><b n=2></b><i n=3></i><i n=4></i><b n=5><i n=a></i><b n=b></b></b><i n=6></i>";
  const cases = {
    ":first-child": "1a", "i:first-child": "1a", "b:first-of-type": "2b", ":first-of-type": "12ab", ":nth-child(2)": "2b",
    ":nth-child(odd)": "135a", ":nth-child(even)": "24b6", ":nth-child(2n + 1)": "135a", ":nth-child(-n+2)": "12ab",
    ":nth-child(n+5)": "56", ":nth-child(n)": "12345ab6", ":nth-child(3n-1)": "25b", ":nth-child(0)": "", ":nth-child(+3)": "3",
    "i:nth-of-type(2)": "3", "b:nth-of-type(2n)": "5", ":nth-of-type(-n+1)": "12ab", "i:not(:nth-of-type(odd))": "36",
    "b > :nth-child(2)": "b", ":nth-child( 2 )": "2b", ":NTH-CHILD(2N)": "24b6",
  };
  for (const [selector, wanted] of Object.entries(cases)) equal([selector, await found(selector, html)], [selector, wanted]);
});

test("what cannot be said of a stream is refused by name", async () => {
  const cases = {
    "": "The selector is empty.", " ": "empty", "a,": "empty", ",a": "empty", "a b >": "Dangling combinator",
    "> a": "Unexpected token in selector: > a", "a + b": "Unsupported combinator `+`", "a ~ b": "combinator `~`",
    "a:hover": ":hover", "a::before": "::before", ":last-child": ":last-child", ":nth-last-child(1)": ":nth-last-child(",
    ":only-child": ":only-child", ":is(a)": ":is(", ":has(a)": ":has(", ":root": ":root", ":empty": ":empty",
    ":nth-child(2 of a)": "2 of a", ":nth-child(x)": "x", ":nth-child(": "end of selector", "svg|a": "namespaces",
    "*|a": "namespaces", "[a|b]": "namespaces", "[a": "end of selector", "[=a]": "=a", "[a=]": "]", "[a=1]": "1]",
    "[a=b x]": "attribute selector: x", "[a=b i": "end of selector", "[a!=b]": "!=b", "a:not()": "Empty negation", "a:not(b c)": "c)",
    "a:not(:not(b))": "Nested negation", "a:not(b": "end of selector", "a)": ")", "a$": "$", "1a": "1a", "#": "end of selector",
    ".1": "1", "..": ".", "a b c (": "(", "[a=\"b]": '"b]',
  };
  for (const [selector, message] of Object.entries(cases)) {
    await fails(() => new HTMLRewriter().on(selector, {}), "TypeError: Parser error: ", message);
  }
});

test("handlers come in the order in which they were added", async () => {
  const seen = [];
  const log = (name) => ({ element() { seen.push(name); }, text(t) { if (t.text) seen.push(`${name}-text`); } });
  await new HTMLRewriter().on("b", log("1")).on("a b, b", log("2")).onDocument(log("document")).on("*", log("3"))
    .transform(new Response("<b>x</b>")).text();
  equal(seen, ["1", "2", "3", "document-text", "1-text", "2-text", "3-text"]);
});
