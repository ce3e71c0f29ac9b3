// The figures: of all workers in tiles and a table, of one in charts.

const PAGE = 50;
const CONFIGURED = "configured"; // in place of a version: the files that the configuration names
const COLUMNS = [
  ["Worker", null],
  ["", null],
  ["Requests/s", (each) => rate(each.lately?.requests)],
  ["Errors", (each) => errorsOf(each)],
  ["p50", (each) => milliseconds(latencyOf(each).p50)],
  ["p95", (each) => milliseconds(latencyOf(each).p95)],
  ["p99", (each) => milliseconds(latencyOf(each).p99)],
  ["Cores", (each) => cores(each.lately?.cpu)],
  ["Memory", (each) => (each.memory_bytes ? bytes(each.memory_bytes) : NONE)],
  ["Isolates", (each) => isolatesText(each)],
  ["Queue", (each) => whole.format(each.queue)],
  ["Cold starts", (each) => compact.format(each.cold_starts)],
];
const LATENCY = [
  { field: "p50", kind: "first", name: "p50" },
  { field: "p95", kind: "second", name: "p95" },
  { field: "p99", kind: "third", name: "p99" },
];
const CHARTS = [
  ["Requests per second", [{ field: "requests", kind: "first" }], rate],
  ["Time to answer", LATENCY, milliseconds],
  ["Errors per second", [{ field: "errors", kind: "error" }], rate],
  ["Cores used", [{ field: "cpu", kind: "first" }], cores],
  ["Memory of isolates", [{ field: "memory", kind: "first" }], (value) => bytes(value ?? 0)],
  ["Waiting for an isolate", [{ field: "queue", kind: "first" }], (value) => whole.format(value ?? 0)],
];
const TILES = [
  ["Requests per second", "requests", "first", (all) => rate(all.lately?.requests),
    (all) => `${compact.format(all.requests)} in all`],
  ["Errors", "errors", "error", errorsOf, (all) => `${compact.format(all.errors + all.call_errors)} in all`],
  ["Time to answer, p95", "p95", "first", (all) => milliseconds(latencyOf(all).p95),
    (all) => `p50 ${milliseconds(latencyOf(all).p50)}, p99 ${milliseconds(latencyOf(all).p99)}`],
  ["Cores used", "cpu", "first", (all) => cores(all.lately?.cpu), (all) => `${cpuText(all.cpu_s)} of CPU time in all`],
  ["Isolates", "isolates", "first", (all) => whole.format(isolatesOf(all)),
    (all) => `${all.isolates.busy ?? 0} busy, ${bytes(all.memory_bytes)}`],
  ["Waiting", "queue", "first", (all) => whole.format(all.queue),
    (all) => `${compact.format(all.cold_starts)} cold starts in all`],
];

const chosen = { sort: "requests", filter: "", offset: 0, worker: null };
const rows = new Map();
let tiles = null;
let charts = null;

// What was answered lately; of a worker that rests, what was answered since the start.
function latencyOf(each) {
  return isRecent(each) ? each.lately.latency : each.latency;
}

function isRecent(each) {
  return Boolean(each.lately) && each.lately.latency.p50 !== null;
}

function errorsOf(each) {
  if (!each.lately) return NONE;
  const { errors, call_errors: callErrors, requests, calls } = each.lately;
  return share(errors + callErrors, requests + calls);
}

function cpuText(seconds) {
  return seconds < 100 ? `${seconds.toFixed(1)} s` : duration(seconds);
}

function isolatesText(each) {
  const all = isolatesOf(each);
  return all ? `${each.isolates.busy ?? 0} / ${whole.format(all)}` : "0";
}

// Nothing where the files of the configuration answer, as they do unless something was deployed.
function versionsText(versions) {
  const all = Object.entries(versions);
  const names = all.map(([id, percent]) => {
    const name = id === CONFIGURED ? id : id.slice(0, 8);
    return all.length > 1 ? `${name} ${Number(percent.toFixed(2))} %` : name;
  });
  return names.length === 1 && names[0] === CONFIGURED ? "" : names.join(", ");
}

function address(name) {
  return `#/worker/${encodeURIComponent(name)}`;
}

function drawTiles(all) {
  tiles ??= TILES.map(([title, field, kind, value, more]) => {
    const figures = [el("p", { class: "value" }), el("p", { class: "more" })];
    const line = plot([{ field, kind }]);
    $("tiles").append(el("section", { class: "tile" }, el("h2", {}, title), ...figures, line.root));
    return { figures, line, value, more, field };
  });
  const series = samples.get("");
  for (const { figures, line, value, more, field } of tiles) {
    write(figures[0], value(all));
    write(figures[1], more(all));
    figures[0].classList.toggle("bad", field === "errors" && Boolean(series.at(-1).errors));
    line.draw(series);
  }
}

function rowOf(name) {
  const line = plot([{ field: "requests", kind: "first" }, { field: "errors", kind: "error" }]);
  const cells = COLUMNS.slice(2).map(([title]) => el("td", { role: "cell", "data-label": title }));
  const link = el("a", { href: address(name) }, shown(name));
  const version = el("span", { class: "version" });
  const root = el(
    "tr", { role: "row" },
    el("th", { scope: "row", role: "rowheader" }, link, " ", version),
    el("td", { role: "cell", class: "trend" }, line.root),
    ...cells,
  );
  return { root, cells, line, version };
}

function drawTable(status) {
  const head = $("workers-head");
  if (!head.hasChildNodes()) {
    const trend = () => el("span", { class: "visually-hidden" }, "Trend");
    head.append(...COLUMNS.map(([title]) => el("th", { scope: "col", role: "columnheader" }, title || trend())));
  }
  const names = status.workers.map((each) => each.name);
  for (const [name, row] of rows) {
    if (!names.includes(name)) {
      row.root.remove();
      rows.delete(name);
    }
  }
  const body = $("workers-body");
  // Nobody wants a row to move away from under their pointer.
  const still = body.matches(":hover, :focus-within") && names.every((name) => rows.has(name));
  status.workers.forEach((each, index) => {
    if (!rows.has(each.name)) rows.set(each.name, rowOf(each.name));
    const row = rows.get(each.name);
    if (!still && body.children[index] !== row.root) body.insertBefore(row.root, body.children[index] ?? null);
    COLUMNS.slice(2).forEach(([title, format], column) => {
      const cell = row.cells[column];
      write(cell, format(each));
      cell.classList.toggle("old", title.startsWith("p") && !isRecent(each));
      cell.classList.toggle("bad", title === "Errors" && Boolean(each.lately?.errors || each.lately?.call_errors));
    });
    write(row.version, versionsText(each.versions));
    row.line.draw(samples.get(each.name));
  });
  drawPages(status);
}

function drawPages(status) {
  const { found, known, workers } = status;
  write($("workers-count"), found === known ? whole.format(known) : `${whole.format(found)} of ${whole.format(known)}`);
  $("workers-none").hidden = found > 0;
  $("workers-frame").hidden = found === 0;
  write($("workers-none"), known ? "No worker has this in its name." : "No worker is configured, and none was loaded.");
  $("pages").hidden = found <= PAGE;
  const [first, last] = [chosen.offset + 1, chosen.offset + workers.length].map(whole.format);
  write($("page-text"), `${first} to ${last} of ${whole.format(found)}`);
  $("previous").disabled = chosen.offset === 0;
  $("next").disabled = chosen.offset + workers.length >= found;
}

function drawWorker(status) {
  const [worker] = status.workers;
  $("worker-there").hidden = !worker;
  $("worker-none").hidden = Boolean(worker);
  if (!worker) {
    write($("worker-none"), "There is no worker of this name, or it has not been asked anything yet.");
    return;
  }
  if (charts === null) {
    charts = CHARTS.map(([title, lines, format]) => chart(title, lines, format));
    $("charts").append(...charts.map((each) => each.root));
  }
  for (const each of charts) each.draw(samples.get(worker.name));
  drawFigures(worker);
}

function drawFigures(worker) {
  const limits = Object.entries(worker.limits).map(([name, count]) => `${name} ${whole.format(count)}`);
  const states = Object.entries(worker.isolates).map(([name, count]) => `${whole.format(count)} ${name}`);
  const figures = [
    ["Requests", whole.format(worker.requests)],
    ["Errors", `${whole.format(worker.errors)} (${share(worker.errors, worker.requests)})`],
    ["Canceled by clients", whole.format(worker.canceled)],
    ["Calls and handlers", whole.format(worker.calls)],
    ["Of these failed", whole.format(worker.call_errors)],
    ["p50, p95, p99", ["p50", "p95", "p99"].map((name) => milliseconds(worker.latency[name])).join(", ")],
    ["CPU time", `${worker.cpu_s.toFixed(2)} s`],
    ["Cold starts", whole.format(worker.cold_starts)],
    ["Isolates now", states.join(", ") || "none"],
    ["Isolates that failed", whole.format(worker.failures)],
    ["Evictions", whole.format(worker.evictions)],
    ["Mean wait for an isolate", milliseconds(worker.queue_wait_ms)],
    ["Log entries", whole.format(worker.log_entries)],
    ["Limits reached", limits.join(", ") || "none"],
  ];
  const list = $("figures");
  if (!list.hasChildNodes()) list.append(...figures.map(([name]) => el("div", {}, el("dt", {}, name), el("dd"))));
  figures.forEach(([, text], index) => write(list.children[index].lastElementChild, text));
}
