// One page of several fragments: they are asked for side by side, and sent in their order as each of them comes.

type Part = string | Promise<Response>;

const encoder = new TextEncoder();

export function compose(parts: Part[]): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  for (const part of parts) if (typeof part !== "string") part.catch(() => {}); // until its turn comes
  void send(parts, writable).catch(() => {}); // the reader has gone
  return readable;
}

async function send(parts: Part[], writable: WritableStream<Uint8Array>): Promise<void> {
  for (const part of parts) await sendPart(part, writable);
  await writable.close();
}

async function sendPart(part: Part, writable: WritableStream<Uint8Array>): Promise<void> {
  const body = typeof part === "string" ? null : await bodyOf(part);
  if (body !== null) {
    await body.pipeTo(writable, { preventClose: true });
    return;
  }
  const writer = writable.getWriter();
  await writer.write(encoder.encode(typeof part === "string" ? part : "<p>This part is missing today.</p>"));
  writer.releaseLock();
}

async function bodyOf(part: Promise<Response>): Promise<ReadableStream<Uint8Array> | null> {
  try {
    const response = await part;
    if (response.ok) return response.body;
    await response.body?.cancel();
  } catch (error) {
    console.error(error); // a page goes on without one of its fragments
  }
  return null;
}
