// Blob and File.

test("a blob is made of parts", async () => {
  const blob = new Blob(["a", new Blob(["é"]), Uint8Array.of(33), new Uint8Array([0, 34, 0]).subarray(1, 2), 5], { type: "Text/Plain" });
  equal([blob.size, blob.type, await blob.text()], [6, "text/plain", 'aé!"5']);
  equal([...(await blob.bytes())], [97, 195, 169, 33, 34, 53]);
  equal((await blob.arrayBuffer()).byteLength, 6);
});

test("what a blob was made of may change, and what it gives may too", async () => {
  const bytes = Uint8Array.of(1, 2);
  const blob = new Blob([bytes]);
  bytes[0] = 9;
  (await blob.bytes())[1] = 9;
  equal(await blob.bytes(), [1, 2]);
});

test("slices share content", async () => {
  const blob = new Blob(["hello"]);
  equal(await blob.slice(1, 3).text(), "el");
  equal(await blob.slice(-2).text(), "lo");
  equal(await blob.slice(3, 1).text(), "");
  equal(blob.slice(0, 1, "a/b").type, "a/b");
  equal([blob.slice(NaN, Infinity).size, blob.slice(-100, 100).size], [5, 5]);
});

test("a blob streams in pieces", async () => {
  const sizes = [];
  for await (const chunk of new Blob([new Uint8Array(150_000)]).stream()) sizes.push(chunk.length);
  equal(sizes, [65536, 65536, 18928]);
  equal(await Array.fromAsync(new Blob([]).stream()), []);
});

test("a byte order mark is not part of a text", async () => {
  equal(await new Blob(["\ufeffa"]).text(), "a");
});

test("a file has a name and a time", async () => {
  const file = new File(["x"], "a.txt", { type: "text/plain", lastModified: 5 });
  equal([file.name, file.lastModified, file.type, file.size, file instanceof Blob],
    ["a.txt", 5, "text/plain", 1, true]);
  equal(new File([], "b").lastModified > 0, true);
});

test("line ends may be made native", async () => {
  equal(await new Blob(["a\r\nb\rc"], { endings: "native" }).text(), "a\nb\nc");
});

test("what blobs refuse", async () => {
  await fails(() => new Blob("text"), "TypeError");
  await fails(() => new Blob([], { endings: "other" }), "TypeError");
  await fails(() => new File([]), "TypeError");
  await fails(() => Blob.prototype.slice.call({}), "TypeError");
  equal(new Blob([], { type: "a\u0001" }).type, "");
});

test("arguments are converted in order, and once", () => {
  const seen = [];
  const text = (value) => ({ toString() { seen.push(value); return value; } });
  const parts = { *[Symbol.iterator]() { yield text("a"); seen.push("between"); yield text("b"); } };
  const blob = new Blob(parts, { type: text("x/y"), endings: text("native") });
  equal([blob.size, blob.type, seen], [2, "x/y", ["a", "between", "b", "native", "x/y"]]);
});

test("a blob of one buffer has bytes of its own", async () => {
  const bytes = Uint8Array.of(65);
  const blob = new Blob([bytes]);
  bytes[0] = 66;
  equal(await blob.text(), "A");
});
