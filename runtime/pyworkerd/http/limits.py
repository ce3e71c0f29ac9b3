"""How much a client may send. Every default names whose number it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one request, in bytes unless the name says otherwise."""

    request_line: int = 16 * 1024
    """Method, target and version. Cloudflare Workers: URLs up to 16 KB. Past it: 414."""
    head: int = 128 * 1024
    """Request line and header section together. Cloudflare Workers: 128 KB of request headers. Past it:
    431."""
    fields: int = 100
    """Header fields, and again trailer fields. Apache's LimitRequestFields: 100. Past it: 431."""
    body: int = 100 * 1000 * 1000
    """Decoded body. Cloudflare Workers, free and pro plans: 100 MB. Past it: 413."""
    chunk_line: int = 4096
    """A chunk's size with its extensions. Go's net/http: maxLineLength 4096. Past it: 400."""
    chunk_extensions: int = 16 * 1024
    """All chunk extensions of one body. Go's net/http since CVE-2023-39326: 16 KiB. Past it: 400."""
    trailers: int = 16 * 1024
    """The trailer section. Node's --max-http-header-size, which holds for trailers too: 16 KiB. Past it:
    431."""
