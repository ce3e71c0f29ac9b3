// The page: whatever is written into the field is counted by the service beside it.

interface Count {
  words: number;
  longest: string;
}

const FORM = `<!doctype html>
<meta charset="utf-8">
<title>Words</title>
<form><input name="text" autofocus> <button>count</button></form>`;

export default {
  async fetch(request: Request, env: SiteEnv): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/") return new Response("there is no such page", { status: 404 });
    const text = searchParams.get("text");
    const answer = text === null ? "" : told((await env.WORDS.count(text)) as Count);
    return new Response(FORM + answer, { headers: { "content-type": "text/html;charset=utf-8" } });
  },
};

function told({ words, longest }: Count): string {
  return `<p>${words} words, the longest is ${longest.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`)}</p>`;
}
