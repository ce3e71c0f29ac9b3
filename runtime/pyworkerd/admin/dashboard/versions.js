// Versions of one worker: which of them answer, and letting another one answer again.

const VERSIONS_EVERY = 5; // looks at the figures

let versionsShown = null;
let versionsAge = 0;
let questioner = null; // hears the answer to the question that is open

function pathOfService(name) {
  return `/services/${encodeURIComponent(name)}`;
}

async function lookAtVersions(name, now = false) {
  versionsAge += 1;
  if (!now && versionsShown === name && versionsAge < VERSIONS_EVERY) return;
  [versionsShown, versionsAge] = [name, 0];
  try {
    const view = await talk(pathOfService(name));
    if (chosen.worker === name) drawVersions(name, view);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) refused(error);
    else if (chosen.worker === name) $("versions").hidden = true; // not one of the configuration's
  }
}

function hideVersions() {
  versionsShown = null;
  $("versions").hidden = true;
}

function drawVersions(name, view) {
  const parts = new Map(view.live.map((share) => [share.version, share.percent]));
  const configured = { id: CONFIGURED, message: "The files that the configuration names" };
  const versions = [...view.versions.toReversed(), configured];
  const key = JSON.stringify([name, view.live, versions]);
  $("versions").hidden = false;
  if ($("versions-list").dataset.key === key) return; // what has the focus stays
  $("versions-list").dataset.key = key;
  $("versions-list").replaceChildren(...versions.map((version) => versionOf(name, version, parts)));
  $("versions-none").hidden = view.versions.length > 0;
  write($("versions-none"), "Nothing was deployed yet: pyworkerd deploy.");
}

function versionOf(name, version, parts) {
  const percent = parts.get(version.id);
  const line = el("li");
  const when = version.at ? `${day.format(version.at * 1000)}, by ${shown(version.by)}` : "";
  const id = version.id === CONFIGURED ? "" : el("code", {}, version.id.slice(0, 8));
  line.append(el("div", { class: "what" }, id, " ", shown(version.message || ""), el("div", { class: "muted" }, when)));
  if (percent) line.append(el("span", { class: "badge" }, `answers ${Number(percent.toFixed(2))} %`));
  if (percent !== 100) {
    const text = percent ? "Answer all" : "Roll back to it";
    const label = `${text}: version ${version.id} of ${name}`;
    const press = () => letAnswer(name, version, parts);
    line.append(el("button", { class: "plain", type: "button", "aria-label": label, click: press }, text));
  }
  return line;
}

function named(id) {
  return id === CONFIGURED ? "the configuration's files" : `version ${id.slice(0, 8)}`;
}

async function letAnswer(name, version, parts) {
  const now = [...parts].map(([id, percent]) => `${named(id)} (${Number(percent.toFixed(2))} %)`).join(" and ");
  const question = `All requests to ${shown(name)} will be answered by ${named(version.id)}. Now it is ${now}.`;
  if (!(await sure("Let another version answer?", question, "Let it answer"))) return;
  say("The server goes over to it");
  try {
    const body = { version: version.id, message: "by the dashboard" };
    await talk(`${pathOfService(name)}/rollback`, { method: "POST", body });
    say(`What answers now: ${named(version.id)}`);
    await lookAtVersions(name, true);
    $("versions-list").querySelector("button")?.focus();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) refused(error);
    else await sure("Nothing has changed", error.message, null);
  }
}

// Asks, or with no answer to give only tells. Whether the answer was yes.
function sure(title, text, yes) {
  const dialog = $("ask");
  answered(false); // a question that is still open is not this one
  write($("ask-title"), title);
  write($("ask-text"), text);
  $("ask-yes").hidden = yes === null;
  write($("ask-yes"), yes ?? "");
  write($("ask-no"), yes === null ? "Close" : "Keep as it is");
  dialog.returnValue = "no";
  dialog.showModal();
  $("ask-no").focus();
  return new Promise((resolve) => {
    questioner = resolve;
  });
}

function answered(yes) {
  questioner?.(yes);
  questioner = null;
}

function beginVersions() {
  const dialog = $("ask");
  dialog.addEventListener("close", () => {
    if (!dialog.open) answered(dialog.returnValue === "yes"); // or it is told late of the question before
  });
}
