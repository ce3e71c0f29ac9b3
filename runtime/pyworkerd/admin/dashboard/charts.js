// Small lines of the last minutes, drawn as SVG from samples that the page has gathered while it is open.

const KEPT = 90; // samples, which are two seconds apart
const SERIES = 300; // workers of which samples are kept
const WIDTH = 100;
const HEIGHT = 30;

const samples = new Map();

function remember(key, sample) {
  const series = samples.get(key) ?? [];
  samples.delete(key);
  samples.set(key, series); // the newest are the last
  series.push(sample);
  if (series.length > KEPT) series.shift();
  if (samples.size > SERIES) samples.delete(samples.keys().next().value);
}

function sampleOf(worker, time) {
  const lately = worker.lately;
  return {
    time,
    requests: lately && lately.requests,
    errors: lately && lately.errors + lately.call_errors,
    p50: lately && lately.latency.p50,
    p95: lately && lately.latency.p95,
    p99: lately && lately.latency.p99,
    cpu: lately && lately.cpu,
    memory: worker.memory_bytes,
    isolates: isolatesOf(worker),
    queue: worker.queue,
  };
}

function isolatesOf(worker) {
  return Object.values(worker.isolates).reduce((sum, count) => sum + count, 0);
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// `lines` are rows of { field, kind }; the first one has an area below it.
function plot(lines) {
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const area = svg("path", { class: `area ${lines[0].kind}` });
  const paths = lines.map((line) => svg("path", { class: line.kind }));
  root.append(area, ...paths);
  return {
    root,
    draw(series) {
      const all = series.flatMap((sample) => lines.map((line) => sample[line.field] ?? 0));
      const top = Math.max(...all, 0);
      lines.forEach((line, index) => {
        const points = series.map((sample, at) => place(sample[line.field], at + KEPT - series.length, top));
        // Errors are drawn where there were any.
        const empty = line.kind === "error" && !series.some((sample) => sample[line.field]);
        paths[index].setAttribute("d", empty ? "" : pathOf(points));
        if (index === 0) area.setAttribute("d", empty ? "" : areaOf(points));
      });
      return top;
    },
  };
}

function place(value, at, top) {
  if (value === null || value === undefined) return null;
  const height = top > 0 ? (value / top) * (HEIGHT - 3) : 0;
  return [((at * WIDTH) / (KEPT - 1)).toFixed(2), (HEIGHT - 1 - height).toFixed(2)];
}

// Where there is no figure, there is a gap.
function runsOf(points) {
  const runs = [[]];
  for (const point of points) {
    if (point === null) runs.push([]);
    else runs.at(-1).push(point);
  }
  return runs.filter((run) => run.length > 0);
}

function pathOf(points) {
  return runsOf(points).map((run) => `M${joined(run)}${run.length > 1 ? "" : "h.8"}`).join("");
}

function areaOf(points) {
  return runsOf(points)
    .map((run) => `M${run[0][0]} ${HEIGHT}L${joined(run)}L${run.at(-1)[0]} ${HEIGHT}Z`)
    .join("");
}

function joined(run) {
  return run.map((point) => point.join(" ")).join("L");
}

function chart(title, lines, format) {
  const value = el("p", { class: "value" });
  const top = el("span");
  const drawn = plot(lines);
  const legend = el("p", { class: "legend", hidden: lines.length === 1 });
  const shownValues = lines.map((line) => {
    const sample = svg("svg", { viewBox: "0 0 18 8", "aria-hidden": "true" });
    sample.append(svg("path", { class: line.kind, d: "M0 4H18" }));
    const figure = el("b");
    legend.append(el("span", {}, sample, `${line.name} `, figure));
    return figure;
  });
  const scale = el("p", { class: "scale" }, el("span", {}, "3 min ago"), top, el("span", {}, "now"));
  const figures = lines.length === 1 ? value : legend;
  const root = el("section", { class: "chart" }, el("h2", {}, title), figures, drawn.root, scale);
  return {
    root,
    draw(series) {
      const now = series.at(-1) ?? {};
      const highest = drawn.draw(series);
      lines.forEach((line, index) => write(shownValues[index], format(now[line.field])));
      write(value, format(now[lines[0].field]));
      write(top, `highest ${highest ? format(highest) : "0"}`);
    },
  };
}
