"""What a program may ask its host: functions of WASI by their names, and the types that they have.

A component that was written for `wasi:http/proxy`, or a core module for WASI preview 1, calls its host in the middle
of whatever it does. What the engine cannot answer from inside (`system`) is a *question*: the call waits until the
host has an answer, which may be at once or after other events. This is the list of all of them; `pyworkerd_isolates.
component` has an answer for each, and a test compares the two.

Types are those of the canonical ABI, `i` for i32 and `l` for i64: a string or a list is two of them, a result that is
not a single value goes to an address that is the last parameter.

Sources: the WIT of WASI 0.2 (wasi-io, wasi-http, wasi-cli, wasi-clocks), of wasi-config 0.2.0-rc.1, wasi-keyvalue
0.2.0-draft and -draft2, wasi-logging; component-model design/mvp/CanonicalABI.md (Flattening);
wasi_snapshot_preview1.witx.
"""

from __future__ import annotations

from typing import Final

DROP: Final = "drop"
"""A handle is given up."""
CONTINUE: Final = -1
"""The number of the question by which a program tells that it has done what an answer asked for."""
ALLOCATE: Final = 1
"""An answer that wants memory first: this in its upper half, with the alignment above, and how many bytes in its lower
half. The address comes with `CONTINUE`."""
FILL: Final = 2
"""An answer that wants memory for each of a list of pairs of address and size, whose addresses are missing: this in
its upper half with the number of pairs above, and where they are in its lower half."""

_HTTP: Final = {
    "http-error-code": "ii:",
    "fields": ":i",
    "fields.from-list": "iii:",
    "fields.get": "iiii:",
    "fields.has": "iii:i",
    "fields.set": "iiiiii:",
    "fields.delete": "iiii:",
    "fields.append": "iiiiii:",
    "fields.entries": "ii:",
    "fields.clone": "i:i",
    "incoming-request.method": "ii:",
    "incoming-request.path-with-query": "ii:",
    "incoming-request.scheme": "ii:",
    "incoming-request.authority": "ii:",
    "incoming-request.headers": "i:i",
    "incoming-request.consume": "ii:",
    "outgoing-request": "i:i",
    "outgoing-request.body": "ii:",
    "outgoing-request.method": "ii:",
    "outgoing-request.set-method": "iiii:i",
    "outgoing-request.path-with-query": "ii:",
    "outgoing-request.set-path-with-query": "iiii:i",
    "outgoing-request.scheme": "ii:",
    "outgoing-request.set-scheme": "iiiii:i",
    "outgoing-request.authority": "ii:",
    "outgoing-request.set-authority": "iiii:i",
    "outgoing-request.headers": "i:i",
    "request-options": ":i",
    "request-options.connect-timeout": "ii:",
    "request-options.set-connect-timeout": "iil:i",
    "request-options.first-byte-timeout": "ii:",
    "request-options.set-first-byte-timeout": "iil:i",
    "request-options.between-bytes-timeout": "ii:",
    "request-options.set-between-bytes-timeout": "iil:i",
    "response-outparam.set": "iiiiliiii:",
    "incoming-response.status": "i:i",
    "incoming-response.headers": "i:i",
    "incoming-response.consume": "ii:",
    "incoming-body.stream": "ii:",
    "incoming-body.finish": "i:i",
    "future-trailers.subscribe": "i:i",
    "future-trailers.get": "ii:",
    "outgoing-response": "i:i",
    "outgoing-response.status-code": "i:i",
    "outgoing-response.set-status-code": "ii:i",
    "outgoing-response.headers": "i:i",
    "outgoing-response.body": "ii:",
    "outgoing-body.write": "ii:",
    "outgoing-body.finish": "iiii:",
    "future-incoming-response.subscribe": "i:i",
    "future-incoming-response.get": "ii:",
}
_STREAMS: Final = {
    "input-stream.read": "ili:",
    "input-stream.blocking-read": "ili:",
    "input-stream.skip": "ili:",
    "input-stream.blocking-skip": "ili:",
    "input-stream.subscribe": "i:i",
    "output-stream.check-write": "ii:",
    "output-stream.write": "iiii:",
    "output-stream.blocking-write-and-flush": "iiii:",
    "output-stream.flush": "ii:",
    "output-stream.blocking-flush": "ii:",
    "output-stream.subscribe": "i:i",
    "output-stream.write-zeroes": "ili:",
    "output-stream.blocking-write-zeroes-and-flush": "ili:",
    "output-stream.splice": "iili:",
    "output-stream.blocking-splice": "iili:",
}
_INTERFACES: Final = {
    "wasi:io/error": {"error.to-debug-string": "ii:"},
    "wasi:io/poll": {"pollable.ready": "i:i", "pollable.block": "i:", "poll": "iii:"},
    "wasi:io/streams": _STREAMS,
    "wasi:http/types": _HTTP,
    "wasi:http/outgoing-handler": {"handle": "iiii:"},
    "wasi:cli/environment": {"get-environment": "i:", "get-arguments": "i:", "initial-cwd": "i:"},
    "wasi:cli/exit": {"exit": "i:", "exit-with-code": "i:"},
    "wasi:cli/stdin": {"get-stdin": ":i"},
    "wasi:cli/stdout": {"get-stdout": ":i"},
    "wasi:cli/stderr": {"get-stderr": ":i"},
    "wasi:clocks/monotonic-clock": {
        "now": ":l",
        "resolution": ":l",
        "subscribe-instant": "l:i",
        "subscribe-duration": "l:i",
    },
    "wasi:clocks/wall-clock": {"now": "i:", "resolution": "i:"},
    "wasi:config/store": {"get": "iii:", "get-all": "i:"},
    "wasi:config/runtime": {"get": "iii:", "get-all": "i:"},
    "wasi:keyvalue/store": {
        "open": "iii:",
        "bucket.get": "iiii:",
        "bucket.set": "iiiiii:",
        "bucket.delete": "iiii:",
        "bucket.exists": "iiii:",
        "bucket.list-keys": "iiiii:",
    },
    "wasi:logging/logging": {"log": "iiiii:"},
    "wasi_snapshot_preview1": {
        "args_get": "ii:i",
        "args_sizes_get": "ii:i",
        "environ_get": "ii:i",
        "environ_sizes_get": "ii:i",
        "clock_time_get": "ili:i",
        "clock_res_get": "ii:i",
        "fd_close": "i:i",
        "fd_fdstat_get": "ii:i",
        "fd_filestat_get": "ii:i",
        "fd_pread": "iiili:i",
        "fd_pwrite": "iiili:i",
        "fd_read": "iiii:i",
        "fd_seek": "ilii:i",
        "fd_tell": "ii:i",
        "fd_write": "iiii:i",
        "poll_oneoff": "iiii:i",
        "proc_exit": "i:",
    },
}
QUESTIONS: Final = {
    **{
        f"{interface} {name}": kind
        for interface, names in _INTERFACES.items()
        for name, kind in names.items()
    },
    DROP: "i:",
}
"""The type of each, by its name without version and form (`system.call_name`)."""
OLDER: Final = {
    ("wasi:keyvalue/store bucket.list-keys", "iili:"): "wasi:keyvalue/store bucket.list-keys from",
}
"""Functions that had another type in an earlier version, and the name of the question that they are."""
KINDS: Final = {**QUESTIONS, **{name: kind for (_, kind), name in OLDER.items()}}
"""The types of all questions."""
