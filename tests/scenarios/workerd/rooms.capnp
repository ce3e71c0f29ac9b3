using Workerd = import "/workerd/workerd.capnp";

const room :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [(name = "room.js", esModule = embed "room.js")],
  durableObjectNamespaces = [(className = "Room", uniqueKey = "0f1e2d3c")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "rooms", durableObjectNamespace = "Room")],
);
