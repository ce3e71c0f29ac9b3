// FormData, and forms as bodies.

const entries = async (form) =>
  Promise.all([...form].map(async ([name, value]) => [name, typeof value === "string" ? value : [value.name, value.type, await value.text()]]));
const body = (text, boundary = "b") => new Response(text, { headers: { "content-type": `multipart/form-data; boundary=${boundary}` } });

test("a form keeps its entries in order", async () => {
  const form = new FormData();
  form.append("a", 1);
  form.append("b", "2");
  form.append("a", "3");
  equal([...form], [["a", "1"], ["b", "2"], ["a", "3"]]);
  form.set("a", "4");
  equal([...form.keys()], ["a", "b"]);
  form.delete("b");
  equal([form.get("a"), form.get("b"), form.getAll("a"), form.has("a")], ["4", null, ["4"], true]);
});

test("blobs become files", async () => {
  const form = new FormData();
  form.append("x", new Blob(["1"], { type: "a/b" }));
  form.append("y", new Blob(["2"]), "name.txt");
  form.append("z", new File(["3"], "own.txt"));
  equal(await entries(form), [["x", ["blob", "a/b", "1"]], ["y", ["name.txt", "", "2"]], ["z", ["own.txt", "", "3"]]]);
  equal(form.get("x") === form.get("x"), true);
});

test("a multipart body is read as it was written", async () => {
  const form = new FormData();
  form.append('na"me\n', "line\none");
  form.append("é", "😀");
  form.append("file", new File([Uint8Array.of(0, 13, 10, 255)], 'f"1".bin', { type: "x/y" }));
  const response = new Response(form);
  equal(response.headers.get("content-type").startsWith("multipart/form-data; boundary=----pyworkerd-form-"), true);
  const read = await response.formData();
  equal([...read.keys()], ['na"me\r\n', "é", "file"]);
  equal([read.get('na"me\r\n'), read.get("é")], ["line\r\none", "😀"]);
  const file = read.get("file");
  equal([file.name, file.type, await file.bytes()], ['f"1".bin', "x/y", [0, 13, 10, 255]]);
});

test("bodies of others are read too", async () => {
  const text = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b  \r\ncontent-disposition: form-data; filename=x.txt; name=f\r\n\r\nfile\r\n--b--\r\n';
  equal(await entries(await body(text).formData()), [["a", "1"], ["f", ["x.txt", "text/plain", "file"]]]);
  equal(await entries(await body(`preamble\r\n${text}`).formData()), [["a", "1"], ["f", ["x.txt", "text/plain", "file"]]]);
  equal([...(await body("--b--\r\n").formData())], []);
  equal([...(await body('--q"q--', '"q"').formData().catch((e) => [e.name]))], ["TypeError"]);
});

test("an empty part is one", async () => {
  equal([...(await body('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--b--').formData())], [["a", ""]]);
});

test("urlencoded bodies are forms", async () => {
  equal([...(await new Response(new URLSearchParams("a=1&b=%20+")).formData())], [["a", "1"], ["b", "  "]]);
});

test("what is no form is refused", async () => {
  for (const text of ["", "x", "--b", "--b\r\n", "--b\r\nA: b\r\n\r\nx\r\n--b--", '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx']) {
    await fails(body(text).formData(), "TypeError");
  }
  await fails(new Response("a=1").formData(), "Unrecognized Content-Type");
  await fails(new Response("x", { headers: { "content-type": "multipart/form-data" } }).formData(), "boundary");
  await fails(() => new FormData({}), "TypeError");
  await fails(() => new FormData().append("a", "text", "name"), "TypeError");
  await fails(() => new FormData().append("a"), "TypeError");
});

test("a file under another name is as old as it was", () => {
  const form = new FormData();
  form.set("a", new File(["x"], "first", { lastModified: 123 }), "second");
  equal([form.get("a").name, form.get("a").lastModified], ["second", 123]);
});
