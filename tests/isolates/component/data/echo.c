// A component of another toolchain: C with the canonical ABI written by hand, wasi-libc, and the adapter from WASI preview 1
// to 0.2. It answers with what it was sent in capitals, piece by piece; below /out with what another server says.
//
// echo.wasm.gz is this, as ziglang 0.17.1 of PyPI and @bytecodealliance/jco of npm (October 2026) built it:
//
//     zig cc -target wasm32-wasi -mexec-model=reactor -Os -s -o core.wasm echo.c
//
// then `componentEmbed` of jco's API with the world `include wasi:http/proxy@0.2.12` and the WIT that jco has, and
// `componentNew` with `lib/wasi_snapshot_preview1.reactor.wasm` of jco; gzip -9n.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ctype.h>
#include <time.h>
#define TYPES "wasi:http/types@0.2.12"
#define IO "wasi:io/streams@0.2.12"
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
IMPORT(TYPES, "[constructor]fields") int32_t fields_new(void);
IMPORT(TYPES, "[method]fields.append") void fields_append(int32_t, const char *, size_t, const char *, size_t, void *);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int32_t, void *);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int32_t, void *);
IMPORT(TYPES, "[method]incoming-response.consume") void response_consume(int32_t, void *);
IMPORT(TYPES, "[method]incoming-response.status") int32_t response_status(int32_t);
IMPORT(TYPES, "[method]incoming-body.stream") void body_stream(int32_t, void *);
IMPORT(TYPES, "[constructor]outgoing-response") int32_t response_new(int32_t);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int32_t response_set_status(int32_t, int32_t);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int32_t, void *);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int32_t, void *);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int32_t, int32_t, int32_t, void *);
IMPORT(TYPES, "[static]response-outparam.set") void outparam_set(int32_t, int32_t, int32_t, int32_t, int64_t, int32_t, int32_t, int32_t, int32_t);
IMPORT(TYPES, "[constructor]outgoing-request") int32_t out_new(int32_t);
IMPORT(TYPES, "[method]outgoing-request.set-authority") int32_t out_authority(int32_t, int32_t, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-path-with-query") int32_t out_path(int32_t, int32_t, const char *, size_t);
IMPORT(TYPES, "[constructor]request-options") int32_t options_new(void);
IMPORT(TYPES, "[method]request-options.set-connect-timeout") int32_t options_connect(int32_t, int32_t, int64_t);
IMPORT(TYPES, "[method]future-incoming-response.subscribe") int32_t future_subscribe(int32_t);
IMPORT(TYPES, "[method]future-incoming-response.get") void future_get(int32_t, void *);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle") void out_send(int32_t, int32_t, int32_t, void *);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void block(int32_t);
IMPORT("wasi:io/poll@0.2.12", "[resource-drop]pollable") void pollable_drop(int32_t);
IMPORT(IO, "[method]input-stream.blocking-read") void stream_read(int32_t, int64_t, void *);
IMPORT(IO, "[method]output-stream.blocking-write-and-flush") void stream_write(int32_t, const void *, size_t, void *);
IMPORT(IO, "[resource-drop]output-stream") void output_drop(int32_t);
IMPORT(IO, "[resource-drop]input-stream") void input_drop(int32_t);

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size; (void)align;
    return size ? realloc(old, size) : (void *)align;
}

static void copy(int32_t body, int32_t to) {
    int32_t area[4];
    body_stream(body, area);
    int32_t stream = area[1];
    for (;;) {
        stream_read(stream, 4096, area);
        if ((area[0] & 255) != 0) break;
        unsigned char *bytes = (unsigned char *)area[1];
        int32_t size = area[2], said[4];
        for (int32_t i = 0; i < size; i++) bytes[i] = toupper(bytes[i]);
        stream_write(to, bytes, size, said);
        free(bytes);
    }
    input_drop(stream);
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int32_t request, int32_t out) {
    int32_t area[10];
    request_path(request, area);
    char *path = calloc(1, area[2] + 1);
    memcpy(path, (char *)area[1], area[2]);
    printf("asked for %s at %d\n", path, time(NULL) > 1700000000);
    fflush(stdout);
    int32_t headers = fields_new();
    const char *greeting = getenv("GREETING");
    if (greeting) fields_append(headers, "x-greeting", 10, greeting, strlen(greeting), area);
    int32_t answer = response_new(headers);
    int32_t from, status = 202;
    if (strncmp(path, "/out", 4) == 0) {
        int32_t asked = out_new(fields_new()), options = options_new();
        out_authority(asked, 1, "else.example", 12);
        out_path(asked, 1, path, strlen(path));
        options_connect(options, 1, 500000000);
        uint64_t wide[7];
        out_send(asked, 1, options, wide);
        if ((wide[0] & 255) != 0) { fprintf(stderr, "refused %u\n", (unsigned)wide[1]); abort(); }
        int32_t future = (int32_t)wide[1], ready = future_subscribe(future);
        block(ready);
        pollable_drop(ready);
        future_get(future, wide);
        if ((wide[2] & 255) != 0) { fprintf(stderr, "failed %u\n", (unsigned)(wide[3] & 255)); abort(); }
        status = response_status((int32_t)wide[3]);
        response_consume((int32_t)wide[3], area);
        from = area[1];
    } else {
        request_consume(request, area);
        from = area[1];
    }
    response_set_status(answer, status);
    response_body(answer, area);
    int32_t body = area[1];
    outparam_set(out, 0, answer, 0, 0, 0, 0, 0, 0);
    body_write(body, area);
    int32_t to = area[1];
    copy(from, to);
    output_drop(to);
    uint64_t said[8];
    body_finish(body, 0, 0, said);
}
