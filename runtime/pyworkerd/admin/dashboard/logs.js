// Log entries and outcomes, as they come: newest last, in a frame that stays where the reader has scrolled to.

const LINES = 500;
const KNOWN_LEVELS = new Set(["debug", "info", "warning", "error", "critical"]);
const AT_THE_END = 40; // pixels

let following = null;
let lastSeen = 0;
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
  const lines = events.slice(-LINES).map(([kind, data]) => {
    if (kind === "missed") return gapOf(data.count);
    lastSeen = Math.max(lastSeen, data.time);
    return lineOf(data);
  });
  list.append(...lines);
  while (list.children.length > LINES) list.firstElementChild.remove();
  if (!stays && lines.length) frame.scrollTop = frame.scrollHeight;
  drawEmpty();
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

function queryOf(again) {
  const [key, value] = $("logs-show").value.split("=");
  const query = { limit: 200 };
  if (key) query[key] = value;
  const text = $("logs-text").value.trim();
  if (text) query.text = text;
  if (chosen.worker !== null) query.worker = chosen.worker;
  if (again && lastSeen) query.since = lastSeen + 0.000001;
  return query;
}

async function keepFollowing(signal) {
  let pause = 1000;
  for (let again = false; !signal.aborted; again = true) {
    try {
      await follow(queryOf(again), signal, (events) => {
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
