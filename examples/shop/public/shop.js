// Everything that is asked for here may be asked for twice, so whatever fails on the way is tried again.
const euros = (cents) => `${(cents / 100).toFixed(2)} €`;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(path, options = {}) {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await fetch(`/api/${path}`, options);
      if (answer.status < 500 || tries === 9) return { ok: answer.ok, ...(await answer.json()) };
    } catch (error) {
      if (tries === 9) throw error;
    }
    await pause(100 * 2 ** Math.min(tries, 4));
  }
}

const element = (id) => document.getElementById(id);
let articles = [];

function line(list, text, label, action) {
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("span"), { textContent: text }));
  const button = Object.assign(document.createElement("button"), { textContent: label, onclick: action });
  item.append(button);
  list.append(item);
}

function show(items) {
  const cart = element("cart");
  cart.replaceChildren();
  for (const { name, title } of articles.filter(({ name }) => items[name])) {
    line(cart, `${items[name]} x ${title}`, "Remove", () => put(name, 0));
  }
  for (const button of element("articles").querySelectorAll("button")) {
    button.onclick = () => put(button.dataset.name, (items[button.dataset.name] ?? 0) + 1);
  }
  element("buy").disabled = Object.keys(items).length === 0;
}

async function put(name, count) {
  const { ok, items, error } = await ask(`cart/${name}`, { method: "PUT", body: JSON.stringify({ count }) });
  if (ok) show(items);
  else element("status").textContent = error;
}

async function buy() {
  element("buy").disabled = true;
  element("status").textContent = "…";
  const { ok, order, error } = await ask("orders", { method: "POST" });
  if (!ok) {
    element("status").textContent = `Not bought: ${error}.`;
    element("buy").disabled = false;
    return;
  }
  show({});
  element("status").textContent = `Order ${order} is placed.`;
  for (;;) {
    const { status, cents } = await ask(`orders/${order}`);
    if (status === "confirmed") {
      element("status").textContent = `Order ${order} is confirmed: ${euros(cents)}.`;
      return;
    }
    await pause(300);
  }
}

({ articles } = await ask("articles"));
for (const { name, title, cents } of articles) {
  line(element("articles"), `${title}, ${euros(cents)}`, "Add", null);
  element("articles").lastChild.querySelector("button").dataset.name = name;
}
show((await ask("cart")).items);
element("buy").onclick = buy;
document.body.dataset.ready = "yes";
