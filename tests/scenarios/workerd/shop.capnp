using Workerd = import "/workerd/workerd.capnp";

const extension :Workerd.Extension = (
  modules = [
    (name = "shop:menu", esModule = embed "menu.js"),
    (name = "shop-internal:kitchen", internal = true, esModule =
      `export const cook = (parts) => parts.join(" and ");
    ),
    (name = "shop:binding", internal = true, esModule =
      `import { Menu } from "shop:menu";
      `export default (env) => new Menu(env.recipes);
      `export const where = (env) => env.files.fetch("http://files/file.txt").then((answer) => answer.text());
    ),
  ],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [(name = "worker", esModule = embed "shop.js")],
  bindings = [
    (name = "menu", wrapped = (moduleName = "shop:binding", innerBindings = [
      (name = "recipes", json = "{\"veggie\": [\"rice\", \"beans\"]}"),
    ])),
    (name = "where", wrapped = (moduleName = "shop:binding", entrypoint = "where", innerBindings = [
      (name = "files", service = "files"),
    ])),
    (name = "broken", wrapped = (moduleName = "shop:binding", entrypoint = "absent")),
  ],
);
