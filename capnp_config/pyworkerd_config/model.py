"""The model that every dialect of the configuration is read into. Frozen, plain, without behaviour.

Names follow workerd.capnp and Wrangler where those have one. Defaults are the design's; sizes are in the unit
that the name says. A `Place` says where a value was written, so that later checks can still point at it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .problems import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: `line` counts from 1; None where a format cannot tell."""

    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file or '<config>'}" + (f":{self.line}" if self.line is not None else "")


KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document, or of one entry of it, to a value."""


class Places(NamedTuple):
    """Where the parts of one entry were written, by their paths in the words of `config.toml`."""

    file: Path | None = None
    lines: Mapping[KeyPath, int] = MappingProxyType({})
    """Line of each path from the top of the document; shared by all entries of one document."""
    prefix: KeyPath = ()
    """Path of this entry."""

    def __repr__(self) -> str:
        return f"Places({self.file}, {self.prefix})"

    def under(self, *keys: str | int) -> Places:
        """The places of a part of this entry."""
        return Places(self.file, self.lines, (*self.prefix, *keys))

    def at(self, *keys: str | int) -> Place:
        """Where a part of this entry was written, or else the nearest thing around it."""
        path = (*self.prefix, *keys)
        while path and path not in self.lines:
            path = path[:-1]
        return Place(self.file, self.lines.get(path))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use. Hitting one ends the invocation or the isolate, never the process."""

    cpu_ms: int = 50
    memory_mb: int = 128
    subrequests: int = 50
    calls: int = 1_000
    startup_ms: int = 1000
    wall_ms: int = 300_000
    background_cpu_ms: int = 30_000
    """As `cpu_ms`, for handlers that no client waits for: `scheduled`, `queue`."""
    background_wall_ms: int = 900_000
    concurrency: int = 100
    """Invocations that one isolate holds at once."""
    isolates: int = 4
    """Live isolates of this worker."""
    queue: int = 1000
    """Requests that wait for an isolate; the next one is answered 503."""
    queue_ms: int = 5000
    """How long a request waits for an isolate before it is answered 503."""
    log_kb: int = 256
    """Log text per invocation; what exceeds it is cut and says so."""
    request_body_mb: int = 100
    weight: int = 100
    """Its part of the processor where others want it too, in proportion to theirs."""
    websockets: int = 10_000
    """Open WebSockets of all its isolates together."""
    websocket_message_mb: int = 32
    """One message that comes in, decompressed; a larger one closes its socket."""
    cache_mb: int = 100
    """What it keeps with the Cache API, all its caches together, on disk."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One name on a worker's `env`. `kind` names the binding's folder; `value` and `options` are read by it.

    The value of a `data` binding is bytes, or the `Path` of the file that holds them (see `load.read_data`). Inside a
    `wrapped` one there are others, `options["bindings"]`: see `flat`.
    """

    name: str
    kind: str
    value: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default=Place(), compare=False)


def flat(bindings: Iterable[Binding]) -> Iterator[Binding]:
    """Bindings, and those inside wrapped ones."""
    for binding in bindings:
        yield binding
        if binding.kind == "wrapped":
            yield from flat(binding.options.get("bindings", ()))


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """What is said about a Durable Object class of a worker (workerd.capnp, DurableObjectNamespace). A class of which
    nothing is said has the defaults.
    """

    class_name: str
    unique_key: str | None = None
    """What ids are made from: they mean nothing under another key. None: made of the names of service and class."""
    prevent_eviction: bool = False
    """Whether its objects stay in memory when nobody asks for them."""
    hibernate: bool = True
    """Whether what they have in memory is put away when they are idle, and not lost."""
    idle_ms: int = 10_000
    """How long they stay in memory when nobody asks for them (workerd: 10 s)."""
    max_objects: int | None = None
    """How many of them may store something; None: as many as the disk has room for."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Static files of a worker, answered before it is asked (Wrangler, `assets`)."""

    directory: Path
    binding: str | None = None
    """Name on `env` by which the worker reaches them itself."""
    html_handling: Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"] = (
        "auto-trailing-slash"
    )
    not_found_handling: Literal["none", "404-page", "single-page-application"] = "none"
    run_worker_first: bool | tuple[str, ...] = False
    """Whether the worker answers first, or for which paths it does; those with `!` are the exceptions."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a program that the configuration itself lists (workerd.capnp, Worker.Module)."""

    name: str
    """By which other modules import it: a path below the program's root. What is code has a suffix that says so."""
    kind: Literal["code", "common", "text", "data", "json"]
    """`common` is CommonJS; what is not code is the module's default export, as a text, as bytes or parsed."""
    content: str | bytes | Path = field(repr=False)
    """In the configuration, or the file that holds it: that is read when the worker is deployed."""
    place: Place = field(default=Place(), compare=False)


@dataclass(frozen=True, slots=True)
class Extension:
    """A module that every JavaScript worker of the configuration has beside its own (workerd.capnp, Extension)."""

    name: str
    """By which it is imported, for example `shop:kitchen`."""
    content: str | bytes | Path = field(repr=False)
    """Its source, or the file that holds it."""
    internal: bool = False
    """Whether only other extensions can import it, and wrapped bindings be made by it."""
    place: Place = field(default=Place(), compare=False)


@dataclass(frozen=True, slots=True)
class Worker:
    """A tenant's program: `main` and what lies beside it below `root`, or else `modules`."""

    main: Path
    root: Path
    """Folder whose modules and data files belong to the program (by default the folder of `main`)."""
    compatibility_date: str | None = None
    compatibility_flags: tuple[str, ...] = ()
    crons: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    """Workers whose `tail` handler is told what each invocation did (workerd.capnp, Worker.tails)."""
    limits: Limits = Limits()
    reuse: Literal["isolate", "request"] = "isolate"
    isolation: Literal["wasm", "subinterpreter"] = "wasm"
    """What its isolates are. Only `wasm` is a sandbox: the other kind is for trusted code that needs native packages.
    """
    bindings: tuple[Binding, ...] = ()
    global_outbound: str | None = "internet"
    """Service that the worker's own `fetch()` goes to; None means that it has no network at all."""
    durable_objects: tuple[ObjectClass, ...] = ()
    assets: Assets | None = None
    modules: tuple[Module, ...] = ()
    """All that the program consists of, the main module first, where the configuration lists it; then `main` is that
    module's name below the folder of the configuration, and nothing is read from there.
    """

    def object_class(self, name: str) -> ObjectClass:
        """What holds for a Durable Object class of this name, whether anything was said about it or not."""
        return next((each for each in self.durable_objects if each.class_name == name), ObjectClass(name))


@dataclass(frozen=True, slots=True)
class Network:
    """The outside world, as far as `allow` and `deny` let it (workerd.capnp, Network).

    Entries: CIDR blocks, or `public`, `private`, `local`, `network`. An address may be used if one `allow`
    entry matches and no `deny` entry does; it is checked after DNS resolution and again after every redirect.
    """

    allow: tuple[str, ...] = ("public",)
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class External:
    """One fixed server: `host:port` or `unix:/path`, with or without TLS."""

    address: str
    https: bool = False
    certificate_host: str | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """The files of a folder, over HTTP (workerd.capnp, DiskDirectory)."""

    path: Path
    writable: bool = False
    """Whether PUT and DELETE are answered."""
    allow_dotfiles: bool = False
    """Whether names that begin with a dot are there."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in each period that come in by a socket; the next one is refused before its service is asked."""

    limit: int
    period: int
    """Seconds."""
    route: str = "/*"
    """Of the service's requests those that count, in the words of `routes`."""
    key: str = "client"
    """What has a count of its own: `client`, an address; `header:NAME`, a value; or all together, `everyone`."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A second version of a worker, which gets a part of the requests. No file says this: a deploy does."""

    worker: Worker
    version: str
    percent: float


@dataclass(frozen=True, slots=True)
class Service:
    """A named thing that requests can be sent to."""

    name: str
    kind: Worker | Network | External | Disk
    routes: tuple[str, ...] = ()
    version: str | None = None
    """Of what was deployed to a running server; None: as it is configured."""
    configured: Worker | None = None
    """The worker as it is configured, where something is known that was deployed: its files are still its own."""
    rollout: Rollout | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    place: Place = field(default=Place(), compare=False)
    places: Places = field(default=Places(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its chain, and its key: two PEM files (workerd.capnp, TlsOptions.keypair)."""

    cert: Path
    key: Path


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True, slots=True)
class Acme:
    """An authority that signs the certificate of a socket by itself (RFC 8555), and signs it anew in time."""

    hosts: tuple[str, ...]
    """Names that the certificate is to hold for."""
    agree_to_terms: bool = False
    """Whether the operator agrees to the authority's terms of service: nothing is asked of it otherwise."""
    email: str | None = None
    """For the authority, to tell of what concerns the account."""
    directory: str = LETS_ENCRYPT
    """URL of the authority."""


@dataclass(frozen=True, slots=True)
class Https:
    """TLS on a socket (workerd.capnp, TlsOptions). The files are read when the socket is opened, and again when they
    change.
    """

    certificates: tuple[Certificate, ...]
    """The client's SNI chooses one by the names in it; the first one answers everybody else."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    client_ca: Path | None = None
    """PEM file of the authorities whose client certificates are accepted; None: clients are not asked for one."""
    require_client_certs: bool = True
    """Whether a client without one is turned away. Means nothing without `client_ca`."""
    http2: bool = False
    """Whether HTTP/2 is offered beside HTTP/1.1."""
    acme: Acme | None = None
    """Who signs the certificate; None: whoever puts the files there. There is one certificate then."""


FORWARDED: tuple[str, ...] = ("x-forwarded-for", "x-forwarded-proto")
"""Headers of trusted peers that are believed by default: those that nearly every proxy sets itself."""


@dataclass(frozen=True, slots=True)
class Socket:
    """A listening address, and the service behind it (None: requests go by the services' routes)."""

    name: str
    address: str
    service: str | None = None
    https: Https | None = None
    trusted: tuple[str, ...] = ()
    """Peers whose word about clients is believed: CIDR blocks, addresses, `unix`."""
    forwarded: tuple[str, ...] = FORWARDED
    """The headers that trusted peers set, in lower case; others about clients are removed."""
    proxy_protocol: bool = False
    """Every connection begins with a PROXY header, and comes from a trusted peer."""
    mode: str | None = None
    """Permissions of a Unix socket's file, octal."""
    entrypoint: str | None = None
    """The export of the service that answers; None: the default one."""
    props: Any = None
    """What it sees as `ctx.props`; None: nothing in particular."""
    place: Place = field(default=Place(), compare=False)
    places: Places = field(default=Places(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Store:
    """A store that several workers share: the one place that says so. Without one, each worker's are its own."""

    kind: str
    """Of the bindings that lead to it: `kv`, `d1`."""
    name: str
    workers: tuple[str, ...] = ()
    """Services that may bind it."""
    size_mb: int | None = None
    """How large it may grow; None: the kind's own default."""
    place: Place = field(default=Place(), compare=False)
    places: Places = field(default=Places(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages from some workers for another one: the one place that connects them (Wrangler, queues.consumers)."""

    name: str
    producers: tuple[str, ...] = ()
    """Services that may bind it."""
    consumer: str | None = None
    """The worker whose `queue` handler gets the messages; None: they wait."""
    delivery_delay: int = 0
    """Seconds that a message waits before it can be taken, unless it says otherwise."""
    max_batch_size: int = 10
    max_batch_timeout: int = 5
    """Seconds that the first message of a batch that is not full waits for others."""
    max_retries: int = 3
    retry_delay: int = 0
    """Seconds until a message comes again, unless its handler says otherwise."""
    dead_letter_queue: str | None = None
    """Queue for messages that have failed too often; None: they are dropped, and logged."""
    max_concurrency: int = 10
    """Batches that are handled at once, in all processes together."""
    size_mb: int | None = None
    place: Place = field(default=Place(), compare=False)
    places: Places = field(default=Places(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Admin:
    """The address that tells operators how things stand. Reachable for whoever can connect to it; what changes things,
    or tells more, only with a token, or by a Unix socket.
    """

    address: str
    hosts: tuple[str, ...] = ()
    """Names that requests may give as their host, besides IP addresses, `localhost` and the address's own."""
    tokens: Path | None = None
    """File of the tokens with which the API may be used over TCP: their hashes; None: it may not."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that serve, all on the same sockets."""

    count: int | None = None
    """None: as many as there are cores for this server."""
    memory_mb: int | None = None
    """For the isolates of all processes together; None: half of the memory that there is for this server."""
    replace_mb: int | None = None
    """Private memory of one process beyond which it is replaced; None: one and a half times its share of
    `memory_mb`, and 256 MB.
    """
    hang_s: int = 10
    """A process whose event loop has not turned for so long is ended and replaced."""
    hibernate_mb: int | None = None
    """On disk, for what Durable Objects of all processes had in memory that hibernate; None: as `memory_mb`. 0: none
    hibernate.
    """


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that one server runs."""

    sockets: tuple[Socket, ...] = ()
    services: tuple[Service, ...] = ()
    queues: tuple[Queue, ...] = ()
    stores: tuple[Store, ...] = ()
    extensions: tuple[Extension, ...] = ()
    admin: Admin | None = None
    processes: Processes = Processes()
    state_dir: Path = Path(".pyworkerd")
    deploy: Literal["eager", "lazy"] = "eager"
    """When workers are deployed: before the sockets listen, or each at its first request."""
    warnings: tuple[Problem, ...] = field(default=(), compare=False, repr=False)
    """What the file says and means nothing here."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values that `.dev.vars` beside the file offers to `secret` bindings; never printed."""
    place: Place = field(default=Place(), compare=False)
    places: Places = field(default=Places(), compare=False, repr=False)
