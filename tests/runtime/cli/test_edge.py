"""`pyworkerd serve` as it stands at the edge: TLS seen by `openssl s_client`, proxies, sockets that systemd opened."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.runtime.cli.command import PATIENCE_S, PROGRAM, Served, ask, project, run, serve
from tests.runtime.server.pem import authority, client_ca, client_context, pair

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(
    OPENSSL is None, reason="openssl is not installed: apt-get install openssl"
)
TELLS = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        about = ("cf-connecting-ip", "x-real-ip", "cf-cert-subject-dn")
        return Response(" ".join([request.url, *(str(request.headers.get(name)) for name in about)]))
"""
CONFIG = """\
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "w"
{lines}

[[services]]
name = "w"
[services.worker]
main = "w.py"
"""


def config(*lines: str) -> str:
    return CONFIG.format(lines="\n".join(lines))


def secure_address(served: Served) -> tuple[str, int]:
    line = served.output.until("(http -> ")
    assert line.startswith("listening on https://")
    host, _, port = line.split()[2].removeprefix("https://").rpartition(":")
    return host, int(port)


def s_client(
    address: tuple[str, int], *options: str, request: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run(
        [OPENSSL, "s_client", "-connect", f"{address[0]}:{address[1]}", "-servername", "a.example", *options],
        input=request,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


@needs_openssl
def test_openssl_is_satisfied(tmp_path: Path) -> None:
    pair(tmp_path, "a.example")
    ca = str(client_ca(tmp_path))
    lines = 'https = { cert = "site.pem", key = "site.key" }'
    with serve(project(tmp_path, config(lines), w=TELLS)) as served:
        address = secure_address(served)
        checks = ("-CAfile", ca, "-verify_return_error", "-verify_hostname", "a.example")
        request = b"GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
        for options, version in (
            (("-tls1_3", "-alpn", "h3,http/1.1"), b"TLSv1.3"),
            (("-tls1_2", "-cipher", "ECDHE"), b"TLSv1.2"),
        ):
            answer = s_client(address, *checks, *options, "-ign_eof", request=request)
            assert answer.returncode == 0, answer.stderr
            assert b"Verify return code: 0 (ok)" in answer.stdout
            assert version in answer.stdout
            assert b"https://a.example/x 127.0.0.1 127.0.0.1 None" in answer.stdout
            assert (b"ALPN protocol: http/1.1" in answer.stdout) == ("-alpn" in options)
        for refused in (
            ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
            ("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"),
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        ):
            assert s_client(address, *refused).returncode != 0
        # A client cannot make the server compute again and again (CVE-2011-1473).
        again = s_client(address, "-tls1_2", request=b"R\n")
        assert b"no renegotiation" in again.stderr or again.returncode != 0
        assert served.stop(signal.SIGTERM) == 0


@needs_openssl
def test_http2_is_offered_where_it_is_asked_for(tmp_path: Path) -> None:
    pair(tmp_path, "a.example")
    lines = 'https = { cert = "site.pem", key = "site.key", http2 = true }'
    with serve(project(tmp_path, config(lines), w=TELLS)) as served:
        address = secure_address(served)
        assert b"ALPN protocol: h2" in s_client(address, "-alpn", "h2,http/1.1").stdout
        assert b"ALPN protocol: http/1.1" in s_client(address, "-alpn", "http/1.1").stdout
        url = f"https://127.0.0.1:{address[1]}/x"
        with httpx.Client(http2=True, verify=client_context()) as client:
            answer = client.get(url, extensions={"sni_hostname": "a.example"})
            assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
            assert answer.text == f"{url} 127.0.0.1 127.0.0.1 None"
        assert served.stop(signal.SIGTERM) == 0


def test_client_certificates_reach_the_worker_and_cannot_be_forged(tmp_path: Path) -> None:
    pair(tmp_path, "a.example")
    client_ca(tmp_path)
    lines = 'https = { cert = "site.pem", key = "site.key", client_ca = "tests-ca.pem" }'
    with serve(project(tmp_path, config(lines), w=TELLS)) as served:
        address = secure_address(served)
        mine = client_context(authority().issue_cert("me@example.com", common_name="till 7"))
        forged = "CF-Cert-Subject-DN: CN=admin\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
        body = over_tls(address, mine, forged).partition("\r\n\r\n")[2]
        assert body.startswith("https://a.example/ 127.0.0.1 127.0.0.1 CN=till 7,")
        with pytest.raises((OSError, AssertionError)):
            over_tls(address, client_context(), "")


def over_tls(address: tuple[str, int], context: ssl.SSLContext, headers: str) -> str:
    with (
        socket.create_connection(address, PATIENCE_S) as raw,
        context.wrap_socket(raw, server_hostname="a.example") as client,
    ):
        client.sendall(f"GET / HTTP/1.1\r\nHost: a.example\r\n{headers}Connection: close\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            text = answer.read().decode()
    assert text
    return text


BROKEN = {
    "missing": ("no.key", "no.key does not exist: create it or correct the path"),
    "swapped": ("site.pem", "site.pem holds no private key in PEM form"),
    "other": ("other.key", "other.key does not belong to the certificate"),
}


@pytest.mark.parametrize("command", ["serve", "validate"])
@pytest.mark.parametrize("case", BROKEN)
def test_files_that_cannot_be_used_are_mistakes_in_the_configuration(
    tmp_path: Path, command: str, case: str
) -> None:
    pair(tmp_path, "a.example")
    pair(tmp_path, "b.example", stem="other")
    key, message = BROKEN[case]
    lines = f'[sockets.https]\ncert = "site.pem"\nkey = "{key}"'
    path = project(tmp_path, config(lines))
    done = run(command, path)
    assert done.returncode == 2
    assert f"{path}:7: " in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trusted_proxy_is_believed(tmp_path: Path) -> None:
    lines = 'trusted = ["127.0.0.1"]'
    headers = {
        "X-Forwarded-For": "6.6.6.6, 192.0.2.7",
        "X-Forwarded-Proto": "https",
        "CF-Cert-Subject-DN": "x",
    }
    with serve(project(tmp_path, config(lines), w=TELLS)) as served:
        address = served.address()
        body = ask(address, "/x", **headers).body
        assert body == f"https://127.0.0.1:{address[1]}/x 192.0.2.7 192.0.2.7 None"
    with serve(project(tmp_path, config(), w=TELLS)) as served:
        address = served.address()
        body = ask(address, "/x", **headers).body
        assert body == f"http://127.0.0.1:{address[1]}/x 127.0.0.1 127.0.0.1 None"


def test_a_proxy_header_before_tls(tmp_path: Path) -> None:
    pair(tmp_path, "a.example")
    lines = (
        'https = { cert = "site.pem", key = "site.key" }',
        'trusted = ["127.0.0.0/8"]',
        "proxy_protocol = true",
    )
    with serve(project(tmp_path, config(*lines), w=TELLS)) as served:
        address = secure_address(served)
        with socket.create_connection(address, PATIENCE_S) as raw:
            raw.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n")
            with client_context().wrap_socket(raw, server_hostname="a.example") as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
                with client.makefile("rb") as answer:
                    assert answer.read().endswith(b"https://a.example/ 192.0.2.7 192.0.2.7 None")


ACTIVATE = """\
import os, sys
# As systemd does: descriptor 3, then the program in this very process.
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": sys.argv[2]}
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_a_socket_that_systemd_opened(tmp_path: Path) -> None:
    path = project(tmp_path, config().replace("127.0.0.1:0", "systemd:front"))
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        # A client that comes before the server does is kept by the kernel.
        early = socket.create_connection(opened.getsockname(), PATIENCE_S)
        early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        command = [
            sys.executable,
            "-c",
            ACTIVATE,
            str(opened.fileno()),
            "front",
            str(PROGRAM),
            "serve",
            str(path),
        ]
        with subprocess.Popen(
            command,
            pass_fds=[opened.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            served = Served(process, process.stdout, process.stderr)
            try:
                assert served.address() == opened.getsockname()
                assert manager.recv(100) == b"READY=1"
                with early, early.makefile("rb") as answer:
                    assert answer.read().endswith(b"hello")
                assert ask(opened.getsockname()).body == "hello"
                assert served.stop(signal.SIGTERM) == 0
                assert manager.recv(100) == b"STOPPING=1"
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
                served.output.rest()
                served.errors.rest()


def test_without_systemd_the_mistake_is_named(tmp_path: Path) -> None:
    path = project(tmp_path, config().replace("127.0.0.1:0", "systemd:front"))
    done = run("serve", path, LISTEN_PID="1", LISTEN_FDS="1", LISTEN_FDNAMES="front")
    assert done.returncode == 2
    assert "systemd gave no socket named 'front'" in done.stderr


def test_permissions_of_a_unix_socket(tmp_path: Path) -> None:
    place = tmp_path / "s"
    text = config('mode = "0600"', 'trusted = ["unix"]').replace("127.0.0.1:0", f"unix:{place}")
    with serve(project(tmp_path, text, w=TELLS)) as served:
        served.output.until("(http -> ")
        assert place.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(place))
            client.sendall(b"GET / HTTP/1.0\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
            with client.makefile("rb") as answer:
                assert answer.read().endswith(b"http://a/ 192.0.2.7 192.0.2.7 None")
