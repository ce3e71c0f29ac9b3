// What is shown: the log-in, what is wrong, all workers or one; and the clock by which it is asked for.

const EVERY_MS = 2000;
let asked = 0;

function show(id) {
  for (const each of ["login", "trouble", "content"]) $(each).hidden = each !== id;
  if (id !== "content") stop();
}

function say(text) {
  write($("said"), text);
}

function state(kind, text) {
  if ($("state").dataset.kind !== kind) say(text);
  $("state").dataset.kind = kind;
  write($("state-text"), text);
}

function trouble(title, text) {
  write($("trouble-title"), title);
  write($("trouble-text"), text);
  show("trouble");
}

function refused(error) {
  if (error.status === 401) {
    if ($("login").hidden) {
      $("leave").hidden = true;
      state("waiting", "Not logged in");
      show("login");
      $("token").focus();
    }
  } else {
    state("error", "No access");
    trouble("There is no access to the figures", error.message);
  }
}

async function begin() {
  for (;;) {
    try {
      keep((await talk("/session")).csrf ?? null);
      break;
    } catch (error) {
      if (error instanceof Refused) {
        refused(error);
        return;
      }
      state("error", "No answer");
      await wait(EVERY_MS);
    }
  }
  $("leave").hidden = csrf === null;
  show("content");
  navigate();
}

async function logIn(event) {
  event.preventDefault();
  write($("login-problem"), "");
  try {
    keep((await talk("/session", { method: "POST", body: { token: $("token").value } })).csrf);
  } catch (error) {
    write($("login-problem"), error instanceof Refused ? error.message : "the server does not answer");
    $("token").select();
    return;
  }
  $("token").value = "";
  await begin();
  $("main").focus({ preventScroll: true });
}

async function logOut() {
  try {
    await talk("/session", { method: "DELETE" });
  } finally {
    keep(null);
    location.reload();
  }
}

function statusQuery() {
  if (chosen.worker !== null) return { name: chosen.worker };
  return { worker: chosen.filter, sort: chosen.sort, offset: chosen.offset, limit: PAGE };
}

async function look() {
  const number = (asked += 1);
  try {
    const status = await talk(`/status?${new URLSearchParams(statusQuery())}`);
    if (number === asked && !$("content").hidden) draw(status);
  } catch (error) {
    if (number !== asked) return;
    if (error instanceof Refused && error.status !== 503) {
      refused(error);
      return;
    }
    state("error", "No answer");
    write($("stale"), "The server does not answer. What is shown here is what it said last; the page goes on asking.");
    $("stale").hidden = false;
  }
}

function draw(status) {
  const { serving, wanted, server } = status;
  $("stale").hidden = true;
  if (server.stopping) state("warn", "Stopping");
  else if (serving === 0) state("error", "Not serving");
  else state(serving < wanted ? "warn" : "good", `Serving, ${serving} of ${wanted}`);
  write($("uptime"), `up ${duration(server.uptime_s)}`);
  remember("", sampleOf(status.total, status.time));
  for (const each of status.workers) remember(each.name, sampleOf(each, status.time));
  if (chosen.worker === null) {
    drawTiles(status.total);
    drawTable(status);
  } else {
    drawWorker(status);
    if (status.workers[0]?.configured) lookAtVersions(chosen.worker);
  }
}

async function poll() {
  for (;;) {
    if (!document.hidden && !$("content").hidden) await look();
    await wait(EVERY_MS);
  }
}

function navigate() {
  let name = null;
  if (location.hash.startsWith("#/worker/")) {
    try {
      name = decodeURIComponent(location.hash.slice("#/worker/".length));
    } catch {
      // An address that somebody typed is not always one.
    }
  }
  chosen.worker = name;
  $("overview").hidden = $("workers").hidden = name !== null;
  $("worker").hidden = name === null;
  write($("worker-title"), name === null ? "" : shown(name));
  hideVersions();
  document.title = name === null ? "pyworkerd" : `${shown(name)} \u00b7 pyworkerd`;
  if ($("content").hidden) return;
  look();
  restart();
}

function moved() {
  navigate();
  if (chosen.worker !== null) $("worker-title").focus();
}

function choose(change) {
  Object.assign(chosen, { offset: 0 }, change);
  look();
}

$("login-form").addEventListener("submit", logIn);
$("leave").addEventListener("click", logOut);
$("workers-form").addEventListener("submit", (event) => event.preventDefault());
$("workers-filter").addEventListener("input", () => choose({ filter: $("workers-filter").value.trim() }));
$("workers-sort").addEventListener("change", () => choose({ sort: $("workers-sort").value }));
$("previous").addEventListener("click", () => choose({ offset: Math.max(chosen.offset - PAGE, 0) }));
$("next").addEventListener("click", () => choose({ offset: chosen.offset + PAGE }));
addEventListener("hashchange", moved);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else resume();
});
beginVersions();
beginLogs();
begin();
poll();
