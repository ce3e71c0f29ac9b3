// Pages as they are elsewhere, but with links that stay here, without trackers and comments, and with a notice.

const ORIGIN = "http://pages.example";

class Links {
  constructor(attribute, here) {
    this.attribute = attribute;
    this.here = here;
  }

  element(element) {
    const url = URL.parse(element.getAttribute(this.attribute), ORIGIN);
    if (url === null) return;
    if (url.origin === ORIGIN) element.setAttribute(this.attribute, this.here + url.pathname + url.search);
    else element.setAttribute("rel", "noreferrer");
  }
}

// A text arrives in pieces: all of it is there with the last one.
class Headings {
  found = "";

  text(piece) {
    this.found += piece.text;
    if (!piece.lastInTextNode) return;
    console.log("heading:", this.found);
    this.found = "";
  }
}

function rewriter(here, env) {
  return new HTMLRewriter()
    .on("a[href]", new Links("href", here))
    .on("img[src]", new Links("src", here))
    .on("img", { element: (image) => image.setAttribute("loading", "lazy") })
    .on('script[src*="tracker"]', { element: (script) => script.remove() })
    .on("h1", new Headings())
    .on("main", {
      element(main) {
        main.prepend(`<p class="notice">${env.NOTICE}</p>`, { html: true });
        main.onEndTag((end) => end.after("<footer>copied</footer>", { html: true }));
      },
    })
    .onDocument({ comments: (comment) => comment.remove() });
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const path = url.pathname.endsWith("/") ? `${url.pathname}index.html` : url.pathname;
    const found = await env.PAGES.fetch(ORIGIN + path);
    if (!found.ok || !path.endsWith(".html")) return found;
    const page = new Response(found.body, { headers: { "content-type": "text/html; charset=utf-8" } });
    return rewriter(url.origin, env).transform(page);
  },
};
