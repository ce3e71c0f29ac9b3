"""Which test belongs to which module, and which modules have none of their own.

`runtime/pyworkerd/server/address.py` is tested by `tests/runtime/server/test_address.py`, and so on. A binding is one
folder and is tested under its own name; the halves of the guest share `tests/isolates/python`. Modules of the guest's
own machinery (`_pyworkerd`) run inside the sandbox, so they are tested from outside of it.

An exemption is a row with its reason. A test fails when a row has become unnecessary.
"""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

from tests.packaging.tree import ROOT, relative

_FOLDERS = {
    "runtime/pyworkerd": "tests/runtime",
    "isolates/pyworkerd_isolates/python/guest/workers": "tests/isolates/python",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd": "tests/isolates/python",
    "isolates/pyworkerd_isolates/python/guest": "tests/isolates/python",
    "isolates/pyworkerd_isolates/javascript/guest": "tests/isolates/javascript",
    "isolates/pyworkerd_isolates/subinterpreter/guest": "tests/isolates/subinterpreter",
    "isolates/pyworkerd_isolates": "tests/isolates",
    "capnp_config/pyworkerd_config": "tests/config",
    "bench/pyworkerd_bench": "tests/bench",
}

TESTED_ELSEWHERE: dict[str, str] = {
    "runtime/pyworkerd/admin/uploads.py": "tests/runtime/admin/test_deploying.py",
    "runtime/pyworkerd/cli/rollback.py": "tests/runtime/cli/test_deploy.py",
    "runtime/pyworkerd/cli/secret.py": "tests/runtime/cli/test_deploy.py",
    "runtime/pyworkerd/host.py": "tests/runtime/test_generation.py",
    "isolates/pyworkerd_isolates/python/guest/workers/writing.py": "tests/runtime/test_writables.py",
    "runtime/pyworkerd/supervisor/deployed.py": "tests/runtime/admin/test_deploying.py",
    "runtime/pyworkerd/versions/model.py": "tests/runtime/versions/test_rules.py",
    "runtime/pyworkerd/versions/receiving.py": "tests/runtime/admin/test_deploying.py",
    "runtime/pyworkerd/versions/trial.py": "tests/runtime/admin/test_deploying.py",
    "runtime/pyworkerd/admin/table.py": "tests/runtime/admin/test_openapi.py",
    "capnp_config/pyworkerd_config/workerd/bindings.py": "tests/config/workerd/test_reader.py",
    "capnp_config/pyworkerd_config/workerd/child.py": "tests/config/workerd/test_process.py",
    "capnp_config/pyworkerd_config/workerd/options.py": "tests/config/workerd/test_reader.py",
    "capnp_config/pyworkerd_config/workerd/tls.py": "tests/config/workerd/test_reader.py",
    "capnp_config/pyworkerd_config/workerd/values.py": "tests/config/workerd/test_reader.py",
    "capnp_config/pyworkerd_config/workerd/worker.py": "tests/config/workerd/test_reader.py",
    "capnp_config/pyworkerd_config/wrangler/tables.py": "tests/config/wrangler/test_file.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/lending.py": "tests/isolates/python/test_stubs.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/sending.py": "tests/isolates/test_sending.py",
    "isolates/pyworkerd_isolates/javascript/finding.py": "tests/isolates/javascript/test_rejections.py",
    "isolates/pyworkerd_isolates/javascript/glue.py": "tests/isolates/javascript/test_engine.py",
    "isolates/pyworkerd_isolates/javascript/sqlite.py": "tests/isolates/javascript/test_storage_build.py",
    "isolates/pyworkerd_isolates/javascript/storage_glue.py": "tests/isolates/javascript/objects/test_sql.py",
    "runtime/pyworkerd/bindings/callable/functions.py": "tests/runtime/bindings/test_callable.py",
    "runtime/pyworkerd/bindings/data/__init__.py": "tests/runtime/bindings/test_values.py",
    "runtime/pyworkerd/bindings/environment/__init__.py": "tests/runtime/bindings/test_values.py",
    "runtime/pyworkerd/bindings/json/__init__.py": "tests/runtime/bindings/test_values.py",
    "runtime/pyworkerd/bindings/secret/__init__.py": "tests/runtime/bindings/test_values.py",
    "runtime/pyworkerd/bindings/text/__init__.py": "tests/runtime/bindings/test_values.py",
    "runtime/pyworkerd/bindings/rate_limit/counters.py": "tests/contracts/test_rate_limits.py",
    "runtime/pyworkerd/bindings/r2/meter.py": "tests/runtime/bindings/r2/test_embedded.py",
    "runtime/pyworkerd/dispatch/answers.py": "tests/runtime/dispatch/test_live.py",
    "runtime/pyworkerd/storage/tree.py": "tests/runtime/services/test_disk.py",
    "runtime/pyworkerd/storage/bodies.py": "tests/runtime/bindings/r2/test_embedded.py",
    "runtime/pyworkerd/bindings/r2/catalogue.py": "tests/contracts/test_r2_buckets.py",
    "runtime/pyworkerd/bindings/r2/faults.py": "tests/contracts/test_r2_buckets.py",
    "runtime/pyworkerd/bindings/r2/memory.py": "tests/contracts/test_r2_buckets.py",
    "runtime/pyworkerd/bindings/d1/dump.py": "tests/contracts/test_d1_stores.py",
    "runtime/pyworkerd/bindings/d1/sqlite.py": "tests/contracts/test_d1_stores.py",
    "runtime/pyworkerd/bindings/d1/store.py": "tests/contracts/test_d1_stores.py",
    "runtime/pyworkerd/bindings/kv/memory.py": "tests/contracts/test_kv_stores.py",
    "runtime/pyworkerd/bindings/kv/sqlite.py": "tests/contracts/test_kv_stores.py",
    "runtime/pyworkerd/bindings/kv/namespace.py": "tests/runtime/bindings/test_kv.py",
    "runtime/pyworkerd/dispatch/entering.py": "tests/runtime/dispatch/test_worker.py",
    "runtime/pyworkerd/dispatch/beginning.py": "tests/runtime/dispatch/test_live.py",
    "runtime/pyworkerd/dispatch/blame.py": "tests/runtime/dispatch/test_live.py",
    "runtime/pyworkerd/dispatch/giving_up.py": "tests/runtime/dispatch/test_resident.py",
    "runtime/pyworkerd/dispatch/measuring.py": "tests/runtime/dispatch/test_fleet.py",
    "runtime/pyworkerd/objects/sockets.py": "tests/runtime/objects/test_framing.py",
    "runtime/pyworkerd/objects/telling.py": "tests/runtime/objects/test_peers.py",
    "runtime/pyworkerd/bindings/service/depth.py": "tests/runtime/bindings/test_service.py",
    "runtime/pyworkerd/dispatch/objects.py": "tests/runtime/dispatch/test_resident.py",
    "runtime/pyworkerd/replay/recorder.py": "tests/runtime/dispatch/test_recorded.py",
    "runtime/pyworkerd/replay/twin.py": "tests/runtime/dispatch/test_recorded.py",
    "runtime/pyworkerd/caches/memory.py": "tests/contracts/test_caches.py",
    "runtime/pyworkerd/caches/sqlite.py": "tests/contracts/test_caches.py",
    "runtime/pyworkerd/caches/store.py": "tests/contracts/test_caches.py",
    "isolates/pyworkerd_isolates/python/guest/workers/caches.py": "tests/runtime/caches/test_capability.py",
    "runtime/pyworkerd/webcrypto/faults.py": "tests/runtime/webcrypto/test_keys.py",
    "runtime/pyworkerd/asgi/scope.py": "tests/runtime/asgi/test_app.py",
    "runtime/pyworkerd/http/h11_parser.py": "tests/runtime/http/test_parser.py",
    "runtime/pyworkerd/http/httptools_parser.py": "tests/runtime/http/test_parser.py",
    "runtime/pyworkerd/http/parsers.py": "tests/runtime/http/test_parser.py",
    "runtime/pyworkerd/server/edge.py": "tests/runtime/server/test_arrival.py",
    "runtime/pyworkerd/server/outgoing.py": "tests/runtime/server/test_arrival.py",
    "runtime/pyworkerd/server/http2_stream.py": "tests/runtime/server/test_http2_connection.py",
    "runtime/pyworkerd/server/info.py": "tests/runtime/server/test_server.py",
    "runtime/pyworkerd/server/shared.py": "tests/runtime/server/test_server.py",
    "runtime/pyworkerd/server/statistics.py": "tests/runtime/server/test_server.py",
    "runtime/pyworkerd/services/outbound.py": "tests/runtime/services/test_network.py",
    "runtime/pyworkerd/services/outbound_bodies.py": "tests/runtime/services/test_network.py",
    "runtime/pyworkerd/services/outbound_client.py": "tests/runtime/services/test_network.py",
    "runtime/pyworkerd/services/outbound_errors.py": "tests/runtime/services/test_network.py",
    "runtime/pyworkerd/supervisor/child.py": "tests/runtime/supervisor/test_supervisor.py",
    "runtime/pyworkerd/supervisor/run.py": "tests/runtime/supervisor/test_supervisor.py",
    "runtime/pyworkerd/supervisor/serving_process.py": "tests/runtime/supervisor/test_supervisor.py",
    "isolates/pyworkerd_isolates/capi.py": "tests/isolates/test_native.py",
    "isolates/pyworkerd_isolates/events.py": "tests/isolates/test_protocol.py",
    "isolates/pyworkerd_isolates/errors.py": "tests/isolates/test_image.py",
    "runtime/pyworkerd/bindings/analytics_engine/dataset.py": "tests/runtime/bindings/test_analytics_engine.py",
    "isolates/pyworkerd_isolates/python/guest/workers/analytics.py": "tests/runtime/cli/test_analytics.py",
    "isolates/pyworkerd_isolates/python/guest/workers/queue.py": "tests/runtime/queues/test_consumer.py",
    "runtime/pyworkerd/bindings/queue/handle.py": "tests/runtime/bindings/test_queue_handle.py",
    "runtime/pyworkerd/cli/stores.py": "tests/runtime/cli/test_kv.py",
    "runtime/pyworkerd/queues/store.py": "tests/contracts/test_queues.py",
    "runtime/pyworkerd/queues/sqlite.py": "tests/contracts/test_queues.py",
    "isolates/pyworkerd_isolates/python/guest/workers/background.py": "tests/runtime/cron/test_handler.py",
    "isolates/pyworkerd_isolates/python/guest/entry.py": "tests/isolates/test_protocol.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/step.py": "tests/isolates/test_protocol.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/immortal.py": "tests/isolates/test_snapshot.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/sockets.py": "tests/isolates/python/test_websocket.py",
    "isolates/pyworkerd_isolates/testing_sockets.py": "tests/isolates/python/test_websocket.py",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd/outbox.py": "tests/isolates/python/test_handlers.py",
    "isolates/pyworkerd_isolates/python/guest/workers/bindings.py": "tests/runtime/bindings/test_in_the_sandbox.py",
    "isolates/pyworkerd_isolates/python/guest/workers/object_sockets.py": "tests/runtime/objects/test_web_sockets.py",
    "isolates/pyworkerd_isolates/python/guest/workers/capability.py": "tests/runtime/bindings/test_in_the_sandbox.py",
    "isolates/pyworkerd_isolates/python/guest/workers/r2.py": "tests/runtime/bindings/test_r2.py",
    "isolates/pyworkerd_isolates/python/guest/workers/loader.py": "tests/runtime/bindings/test_worker_loader.py",
    "isolates/pyworkerd_isolates/python/guest/workers/entrypoint.py": "tests/isolates/python/test_worker.py",
    "isolates/pyworkerd_isolates/python/guest/workers/fetching.py": "tests/isolates/python/test_calls.py",
    "bench/pyworkerd_bench/peers/asgi.py": "tests/bench/peers/test_loaded_peers.py",
    "bench/pyworkerd_bench/peers/wasmtime_reused.py": "tests/bench/peers/test_loaded_peers.py",
    "bench/pyworkerd_bench/peers/workerd_serve.py": "tests/bench/peers/test_loaded_peers.py",
    "bench/pyworkerd_bench/peers/command.py": "tests/bench/peers/test_peers.py",
    "bench/pyworkerd_bench/peers/wasi_hello.py": "tests/bench/peers/test_peers.py",
    "bench/pyworkerd_bench/peers/wasmtime_serve.py": "tests/bench/peers/test_peers.py",
    "bench/pyworkerd_bench/peers/workerd_loader.py": "tests/bench/peers/test_peers.py",
}
"""Modules whose behaviour is that of another's test: two parsers behind one interface, a part of one whole."""

_WEB_PLATFORM = {
    "test_globals.py": "idl report",
    "test_console.py": "inspect",
    "test_encoding.py": "utf8",
    "test_url.py": "percent url_host url_parser idna punycode",
    "test_events.py": "abort",
    "test_readable.js": "promises strategies readable_core readable_default readable_bytes readers tee",
    "test_writable.js": "piping writable_core transform text_streams",
    "test_compression.py": "deflate deflate_format inflate",
    "test_form_data.js": "multipart",
    "test_response.js": "message",
    "test_url_pattern.py": "pattern_init pattern_parts pattern_string",
    "html/test_rewriter.js": "html/changes html/charset html/elements html/tokens",
    "html/test_selectors.js": "html/matching",
}
"""The parts that the web platform's modules are made of, by the test of the whole."""

TESTED_ELSEWHERE.update(
    {
        f"isolates/pyworkerd_isolates/javascript/guest/web/{part}.js": f"tests/isolates/javascript/web/{test}"
        for test, parts in _WEB_PLATFORM.items()
        for part in parts.split()
    }
)

TESTED_ELSEWHERE.update(
    {
        f"isolates/pyworkerd_isolates/javascript/guest/web/{part}.js": "tests/runtime/webcrypto/test_subtle.py"
        for part in (
            "crypto_algorithms", "crypto_jwk", "crypto_key", "crypto_keys", "crypto_operations", "subtle",
        )
    }
)  # fmt: skip

UNTESTED: dict[str, str] = {
    "bench/pyworkerd_bench/experiments/called_often.py": "an experiment: it made a list that is kept",
    "bench/pyworkerd_bench/experiments/floor.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/hand_over.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/javascript_steps.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/observing.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/one_call.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/python_steps.py": "an experiment: it shows figures to a developer",
    "bench/pyworkerd_bench/experiments/private_pages.py": "an experiment: it shows figures to a developer",
}
"""Modules without a test of their own, and why that is so."""


def needs_no_test(path: Path) -> bool:
    """Whether a module does nothing: it only documents, imports, names constants or describes types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return all(_only_describes(function) for function in functions)


def _only_describes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in function.body
    )


def mirror_of(path: Path) -> Path:
    """Where the module's own test belongs."""
    name = relative(path)
    prefix = next(folder for folder in _FOLDERS if name.startswith(f"{folder}/"))
    inner = PurePosixPath(name.removeprefix(f"{prefix}/"))
    if inner.name == "__init__.py":
        inner = inner.parent.with_suffix(".py") if inner.parent.name else inner.with_name("package.py")
    if inner.name == "__main__.py":
        inner = inner.with_name("main.py")
    if inner.parts[0] == "bindings" and inner.name == "capability.py":
        inner = inner.parent.with_suffix(".py")
    folder = ROOT / _FOLDERS[prefix] / inner.parent
    written_in_its_language = folder / f"test_{inner.name}"
    return written_in_its_language if written_in_its_language.is_file() else folder / f"test_{inner.stem}.py"
