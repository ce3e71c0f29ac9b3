// Log entries and outcomes, as they come: newest last, in a frame that stays where the reader has scrolled to.

const LINES = 500;
const KNOWN_LEVELS = new Set(["debug", "info", "warning", "error", "critical"]);
const AT_THE_END = 40; // pixels

// Processes are asked in turns, so what is told last is not always the newest: a stream that goes on begins earlier.
const OVERLAP_S = 1;
const REMEMBERED = 2 * LINES;

let following = null;
let lastSeen = 0;
const known = new Set();
let paused = false;

function lineOf(entry) {
  const invocation = entry.event === "invocation";
  const level = invocation ? outcomeLevel(entry.outcome) : entry.level;
  const kind = KNOWN_LEVELS.has(level) ? level : "info";
  const who = el("span", { class: "who" });
  if (entry.worker) who.append(el("a", { href: address(entry.worker) }, shown(entry.worker)));
  else who.append(entry.process ? "pyworkerd" : "supervisor");
  if (entry.request_id) {
    const find = () => search(entry.request_id);
    const label = `Search for request ${entry.request_id}`;
    const attributes = { class: "link", type: "button", "aria-label": label, title: label, click: find };
    who.append(" ", el("button", attributes, entry.request_id.slice(0, 6)));
  }
  const exactly = { datetime: new Date(entry.time * 1000).toISOString(), title: day.format(entry.time * 1000) };
  return el(
    "li", { class: invocation ? `invocation ${kind}` : kind },
    el("time", exactly, clock(entry.time)),
    el("span", { class: "level" }, invocation ? shown(entry.outcome) : shown(entry.level)),
    who,
    el("span", { class: "text", dir: "auto" }, invocation ? outcomeText(entry) : logText(entry)),
  );
}

function logText(entry) {
  return `${entry.source === "stdout" ? "" : `${shown(entry.source)}: `}${shown(entry.message)}`;
}

function outcomeLevel(outcome) {
  if (outcome === "ok") return "info";
  return outcome === "canceled" ? "warning" : "error";
}

function outcomeText(entry) {
  const cpu = `CPU ${milliseconds(entry.cpu_ms)}`;
  return [shown(entry.began), entry.status || "", milliseconds(entry.wall_ms), cpu].filter(Boolean).join("  ");
}

function search(text) {
  $("logs-text").value = text;
  restart();
  $("logs-text").focus();
}

function told(events) {
  const frame = $("logs-frame");
  const stays = frame.scrollTop + frame.clientHeight < frame.scrollHeight - AT_THE_END;
  const list = $("logs-list");
  const fresh = events.filter(([kind, data]) => kind !== "entry" || isNew(data));
  const lines = fresh.slice(-LINES).map(([kind, data]) => (kind === "entry" ? lineOf(data) : gapOf(data.count)));
  list.append(...lines);
  while (list.children.length > LINES) list.firstElementChild.remove();
  if (!stays && lines.length) frame.scrollTop = frame.scrollHeight;
  drawEmpty();
}

function isNew(entry) {
  const key = `${entry.id} ${entry.time}`;
  if (known.has(key)) return false;
  known.add(key);
  if (known.size > REMEMBERED) known.delete(known.values().next().value);
  lastSeen = Math.max(lastSeen, entry.time);
  return true;
}

function gapOf(count) {
  return el("li", { class: "gap" }, `${whole.format(count)} entries came faster than they could be shown`);
}

function drawEmpty() {
  const empty = !$("logs-list").hasChildNodes();
  const filtered = $("logs-text").value || $("logs-show").value;
  $("logs-none").hidden = !empty;
  write($("logs-none"), filtered ? "Nothing that was logged lately matches." : "Nothing was logged lately.");
}

function queryNow() {
  const [key, value] = $("logs-show").value.split("=");
  const query = lastSeen ? { limit: LINES, since: lastSeen - OVERLAP_S } : { limit: 200 };
  if (key) query[key] = value;
  const text = $("logs-text").value.trim();
  if (text) query.text = text;
  if (chosen.worker !== null) query.worker = chosen.worker;
  return query;
}

async function keepFollowing(signal) {
  let pause = 1000;
  while (!signal.aborted) {
    try {
      await follow(queryNow(), signal, (events) => {
        pause = 1000;
        write($("logs-state"), "live");
        told(events);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status !== 503) {
        refused(error);
        return;
      }
      write($("logs-state"), error instanceof Refused ? error.message : "reconnecting");
    }
    await wait(pause);
    pause = Math.min(pause * 2, 15_000);
  }
}

function stop() {
  following?.abort();
  following = null;
}

// Follow what is chosen now, from what was logged lately.
function restart() {
  stop();
  $("logs-list").replaceChildren();
  lastSeen = 0;
  known.clear();
  if (paused) pressPause();
  resume();
}

function resume() {
  if (following !== null || paused || $("content").hidden) return;
  following = new AbortController();
  drawEmpty();
  keepFollowing(following.signal);
}

function pressPause() {
  paused = !paused;
  $("logs-pause").setAttribute("aria-pressed", String(paused));
  write($("logs-pause"), paused ? "Go on" : "Pause");
  if (paused) {
    stop();
    write($("logs-state"), "paused");
  } else {
    resume();
  }
}

function beginLogs() {
  let typing = 0;
  $("logs-text").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(restart, 250);
  });
  $("logs-show").addEventListener("change", restart);
  $("logs-pause").addEventListener("click", pressPause);
  $("logs-form").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    restart();
  });
}
