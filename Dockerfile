# syntax=docker/dockerfile:1
# Build:  docker build -t pyworkerd .
# Run:    docker run -p 8787:8787 -v "$PWD:/app:ro" pyworkerd
#
# The engine is native code for the processor that builds this image, and sealed with a key that lies beside it. On a
# processor with other features its key does not match and it is built again at the first start, which takes some
# seconds: so $PYWORKERD_HOME is writable, and componentize-py stays installed. Mount an empty volume there to keep what
# was built, and to have a key that is nobody else's.

ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY runtime runtime
COPY isolates isolates
COPY capnp_config capnp_config
COPY bench bench
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON} AS installed
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/pyworkerd \
    && /opt/pyworkerd/bin/pip install --no-cache-dir --only-binary :all: /wheels/*.whl

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="pyworkerd" \
      org.opencontainers.image.description="A multi-tenant isolate runtime" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 pyworkerd \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pyworkerd --shell /usr/sbin/nologin pyworkerd \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/pyworkerd
COPY --from=installed /opt/pyworkerd /opt/pyworkerd
ENV PATH=/opt/pyworkerd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYWORKERD_HOME=/var/lib/pyworkerd
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
RUN pyworkerd engine build
WORKDIR /app
EXPOSE 8787
# A request without a Host is answered 400 by the server itself: it shows that the server is alive and runs no worker.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import socket as s; c = s.create_connection(('127.0.0.1', 8787), 3); c.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n'); raise SystemExit(not c.recv(16).startswith(b'HTTP/1.1 400'))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["pyworkerd", "serve", "/app/config.toml"]
