// Bindings that are used as globals. `pyworkerd types` makes all other declarations of the configuration.

declare const CACHE: KVNamespace;
