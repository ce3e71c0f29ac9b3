using Workerd = import "/workerd/workerd.capnp";
using Rooms = import "rooms.capnp";
using Shop = import "shop.capnp";

const config :Workerd.Config = (
  services = [
    (name = "hello", worker = .hello),
    (name = "script", worker = (serviceWorkerScript = embed "script.js", compatibilityDate = "2025-01-01",
      bindings = [(name = "GREETING", text = "hello from a script")])),
    (name = "site", worker = .site),
    (name = "files", disk = "content"),
    (name = "room", worker = Rooms.room),
    (name = "greeter", worker = .greeter),
    (name = "german", worker = (inherit = "greeter", bindings = [(name = "WORD", text = "Guten Tag")])),
    (name = "python", worker = .python),
    (name = "shop", worker = Shop.worker),
    (name = "log", worker = (modules = [(name = "log", esModule = embed "log.js")], compatibilityDate = "2025-01-01")),
    (name = "internet", network = (allow = [])),
  ],
  sockets = [
    (name = "hello", address = "127.0.0.1:0", http = (), service = "hello"),
    (name = "script", address = "127.0.0.1:0", http = (), service = "script"),
    (name = "site", address = "127.0.0.1:0", http = (), service = "site"),
    (name = "room", address = "127.0.0.1:0", http = (), service = "room"),
    (name = "german", address = "127.0.0.1:0", http = (), service = "german"),
    (name = "python", address = "127.0.0.1:0", http = (), service = "python"),
    (name = "shop", address = "127.0.0.1:0", http = (), service = "shop"),
    (name = "admin", address = "127.0.0.1:0", service = (name = "hello", entrypoint = "admin", props = (json = "7"))),
  ],
  extensions = [Shop.extension],
);

const hello :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [
    (name = "worker", esModule = embed "hello.js"),
    (name = "parts/page.html", text = "<p>"),
    (name = "parts/numbers", json = "[1, 2]"),
    (name = "parts/old", commonJsModule = "exports.name = require('./numbers').length;"),
    (name = "parts/typed.ts", text = "let not: code"),
    (name = "parts/bytes.js", data = 0x"00 ff"),
  ],
  tails = ["log"],
);

const site :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [(name = "site.js", esModule =
    `export default { fetch: (request, env) => env.files.fetch(request) };
  )],
  bindings = [(name = "files", service = "files")],
);

const greeter :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [(name = "greeter.js", esModule =
    `export default { fetch: (request, env) => new Response(`${env.WORD}, ${env.LIMIT ?? "no limit"}`) };
  )],
  bindings = [
    (name = "WORD", parameter = (type = (text = void))),
    (name = "LIMIT", parameter = (type = (json = void), optional = true)),
  ],
);

const python :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  compatibilityFlags = ["python_workers"],
  modules = [(name = "worker.py", pythonModule = embed "worker.py"), (name = "lib/words.py", pythonModule = "WORD = 'snake'")],
  bindings = [(name = "HELLO", service = "hello")],
);
