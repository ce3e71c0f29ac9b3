"""What becomes of every field of workerd's configuration: the whole of its schema, as tables.

A test compares them with `workerd.capnp`, and docs/support.md is made of them, so no field can be forgotten.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Field(NamedTuple):
    """What becomes of one field."""

    status: Literal["supported", "different", "ignored", "refused"]
    """`different`: as its note says. `ignored`: with a warning. `refused`: the configuration is not loaded."""
    note: str = ""
    """Of a field that is refused or ignored what to do instead; of one that is different how."""


READ: Final = Field("supported")


def _differs(note: str) -> Field:
    return Field("different", note)


def _ignored(note: str) -> Field:
    return Field("ignored", note)


def _refused(note: str) -> Field:
    return Field("refused", note)


_OF_OURS: Final = "requests to a service are no store here; config.toml has stores of its own: "
_UNNEEDED: Final = "leave it out"
_NO_WEBASSEMBLY: Final = (
    "JavaScript workers have no WebAssembly here; a .wasm file can be a worker of its own"
)
_PARAMETER: Final = "parameters can be of the types text, data, json, service and durableObjectNamespace"
_EMBEDDED: Final = "embedded from a file, so not in an encoded message: it is read again when it changes"
_CONTAINERS: Final = "Durable Objects have no containers here"

_SOCKETS: Final[Mapping[str, Mapping[str, Field]]] = {
    "Socket": {
        "name": READ,
        "address": READ,
        "http": READ,
        "https": READ,
        "tcp": _refused("sockets speak HTTP here; write http = ()"),
        "udp": _refused("sockets speak HTTP here; write http = ()"),
        "service": READ,
    },
    "Socket.https": {"options": READ, "tlsOptions": READ},
    "Socket.tcp": {"tlsOptions": _refused(_UNNEEDED)},
    "Socket.udp": {"idleTimeoutMs": _refused(_UNNEEDED), "maxPendingBytes": _refused(_UNNEEDED)},
    "HttpOptions": {
        "style": _differs("host only: there is no proxy of this kind"),
        "forwardedProtoHeader": _differs("of sockets, and X-Forwarded-Proto only"),
        "cfBlobHeader": _refused("request.cf is made by this server"),
        "injectRequestHeaders": _refused("set the headers in a worker that forwards the request"),
        "injectResponseHeaders": _refused("set the headers in a worker that forwards the request"),
        "capnpConnectHost": _refused(
            "workers call each other within one server; list them all in its services"
        ),
    },
    "HttpOptions.Header": {"name": READ, "value": READ},
    "TlsOptions": {
        "keypair": _differs("of sockets; servers that are asked see no certificate"),
        "requireClientCerts": READ,
        "trustBrowserCas": _differs(
            "of servers that are asked, where it has to be true; clients need an own authority"
        ),
        "trustedCertificates": _differs("of sockets only, for certificates of clients"),
        "minVersion": _differs("of sockets only, and tls1Dot2 at least"),
        "cipherList": _refused("ciphers are Mozilla's intermediate list"),
    },
    "TlsOptions.Keypair": {"privateKey": _differs(_EMBEDDED), "certificateChain": _differs(_EMBEDDED)},
}

_SERVICES: Final[Mapping[str, Mapping[str, Field]]] = {
    "Service": {
        "name": READ,
        "unspecified": _refused("write worker, network, external or disk"),
        "worker": READ,
        "network": READ,
        "external": READ,
        "disk": READ,
    },
    "ServiceDesignator": {"name": READ, "entrypoint": READ, "props": READ},
    "ServiceDesignator.props": {"empty": READ, "json": READ},
    "ExternalServer": {
        "address": READ,
        "http": READ,
        "https": READ,
        "tcp": _refused("servers that are asked speak HTTP here; write http = ()"),
    },
    "ExternalServer.https": {"options": READ, "tlsOptions": READ, "certificateHost": READ},
    "ExternalServer.tcp": {"tlsOptions": _refused(_UNNEEDED), "certificateHost": _refused(_UNNEEDED)},
    "Network": {
        "allow": _differs("without unix and unix-abstract"),
        "deny": _differs("without unix and unix-abstract"),
        "tlsOptions": READ,
    },
    "DiskDirectory": {"path": READ, "writable": READ, "allowDotfiles": READ},
}

_WORKERS: Final[Mapping[str, Mapping[str, Field]]] = {
    "Worker": {
        "modules": READ,
        "serviceWorkerScript": _differs("it runs in strict mode, as a module does"),
        "inherit": _differs("each worker has isolates of its own"),
        "compatibilityDate": _differs("it may be left out; behaviour does not depend on it"),
        "compatibilityFlags": _differs("behaviour does not depend on them, but for typescript_strip_types"),
        "bindings": READ,
        "globalOutbound": _differs("the name of a service only"),
        "cacheApiOutbound": _refused("every worker has a cache of its own here; leave it out"),
        "durableObjectNamespaces": READ,
        "durableObjectUniqueKeyModifier": READ,
        "durableObjectStorage": READ,
        "moduleFallback": _refused("list all modules in the configuration"),
        "tails": _differs("the names of services only"),
        "streamingTails": _refused("write tails = [...]"),
        "containerEngine": READ,
        "accessBlobHeader": _refused("ctx.access is not there; read the header in the worker"),
        "accessBindingService": _refused("ctx.access is not there; bind the service"),
        "workflowsEngine": _refused("workflows are not in this version yet"),
    },
    "Worker.durableObjectStorage": {
        "none": READ,
        "inMemory": _differs("on disk, in .pyworkerd beside the file: what is stored outlives the process"),
        "localDisk": _differs(
            "the disk of all workers of a configuration is one; the layout of its files is another"
        ),
    },
    "Worker.containerEngine": {"none": READ, "localDocker": _refused(_CONTAINERS)},
    "Worker.DockerConfiguration": {
        "socketPath": _refused(_CONTAINERS),
        "containerEgressInterceptorImage": _refused(_CONTAINERS),
    },
    "Worker.Module": {
        "name": READ,
        "esModule": READ,
        "commonJsModule": READ,
        "text": READ,
        "data": READ,
        "wasm": _refused(_NO_WEBASSEMBLY),
        "json": READ,
        "obsolete": _refused("it has no meaning any more; write commonJsModule"),
        "pythonModule": READ,
        "obsoletePythonRequirement": _refused("vendor the package below python_modules/, or leave it out"),
        "namedExports": _differs("not needed: all properties of module.exports can be imported"),
    },
    "Worker.DurableObjectNamespace": {
        "className": READ,
        "uniqueKey": _differs("the ids that are made from it are others"),
        "ephemeralLocal": _refused("give it a uniqueKey; an object that stores nothing takes no space"),
        "preventEviction": READ,
        "enableSql": _differs("storage.sql is there in any case"),
        "container": _refused(_CONTAINERS),
    },
    "Worker.DurableObjectNamespace.ContainerOptions": {
        "imageName": _refused(_CONTAINERS),
        "privileges": _refused(_CONTAINERS),
        "images": _refused(_CONTAINERS),
    },
    "Worker.DurableObjectNamespace.ContainerOptions.NamedImage": {
        "name": _refused(_CONTAINERS),
        "image": _refused(_CONTAINERS),
    },
    "Worker.DurableObjectNamespace.ContainerOptions.ContainerPrivileges": {
        "capabilities": _refused(_CONTAINERS),
        "devices": _refused(_CONTAINERS),
        "securityOpt": _refused(_CONTAINERS),
    },
    "Worker.DurableObjectNamespace.ContainerOptions.ContainerPrivileges.Device": {
        "pathOnHost": _refused(_CONTAINERS),
        "pathInContainer": _refused(_CONTAINERS),
        "cgroupPermissions": _refused(_CONTAINERS),
    },
    "WorkflowsEngine": {"actorClass": _refused(_UNNEEDED), "workflows": _refused(_UNNEEDED)},
    "WorkflowsEngine.Workflow": {
        "className": _refused(_UNNEEDED),
        "name": _refused(_UNNEEDED),
        "bindingService": _refused(_UNNEEDED),
    },
}

_BINDINGS: Final[Mapping[str, Mapping[str, Field]]] = {
    "Worker.Binding": {
        "name": READ,
        "unspecified": _refused("write what it is bound to"),
        "parameter": READ,
        "text": READ,
        "data": READ,
        "json": READ,
        "wasmModule": _refused(_NO_WEBASSEMBLY),
        "cryptoKey": _refused("bind the key as text or data, and import it with crypto.subtle.importKey()"),
        "service": READ,
        "durableObjectClass": _refused("facets are not in this version"),
        "durableObjectNamespace": READ,
        "kvNamespace": _refused(f'{_OF_OURS}NAME = {{ kv = "cache" }}'),
        "r2Bucket": _refused(f'{_OF_OURS}NAME = {{ r2 = "files" }}'),
        "obsolete0": _refused("it has no meaning any more"),
        "wrapped": _differs("in JavaScript workers; it is made when it is asked for first"),
        "queue": _refused(f'{_OF_OURS}NAME = {{ queue = "jobs" }}'),
        "fromEnvironment": READ,
        "analyticsEngine": _refused(f'{_OF_OURS}NAME = {{ analytics_engine = "requests" }}'),
        "hyperdrive": _refused("workers open no connections to databases here"),
        "unsafeEval": _refused("bind a workerLoader: it runs code that is made up at run time"),
        "memoryCache": _refused("use the Cache API, or a variable of the module"),
        "workerLoader": READ,
        "workerdDebugPort": _refused("bind a service of this configuration"),
    },
    "Worker.Binding.parameter": {"type": READ, "optional": READ},
    "Worker.Binding.Type": {
        "unspecified": _refused("write which type it has"),
        "text": READ,
        "data": READ,
        "json": READ,
        "wasm": _refused(_PARAMETER),
        "cryptoKey": _refused(_PARAMETER),
        "service": READ,
        "durableObjectNamespace": READ,
        "kvNamespace": _refused(_PARAMETER),
        "r2Bucket": _refused(_PARAMETER),
        "obsolete0": _refused(_PARAMETER),
        "queue": _refused(_PARAMETER),
        "analyticsEngine": _refused(_PARAMETER),
        "hyperdrive": _refused(_PARAMETER),
        "durableObjectClass": _refused(_PARAMETER),
        "workerdDebugPort": _refused(_PARAMETER),
    },
    "Worker.Binding.DurableObjectNamespaceDesignator": {"className": READ, "serviceName": READ},
    "Worker.Binding.CryptoKey": {
        name: _refused(_UNNEEDED)
        for name in ["raw", "hex", "base64", "pkcs8", "spki", "jwk", "algorithm", "extractable", "usages"]
    },
    "Worker.Binding.CryptoKey.algorithm": {"name": _refused(_UNNEEDED), "json": _refused(_UNNEEDED)},
    "Worker.Binding.hyperdrive": {
        name: _refused(_UNNEEDED) for name in ["designator", "database", "user", "password", "scheme"]
    },
    "Worker.Binding.memoryCache": {"id": _refused(_UNNEEDED), "limits": _refused(_UNNEEDED)},
    "Worker.Binding.MemoryCacheLimits": {
        name: _refused(_UNNEEDED) for name in ["maxKeys", "maxValueSize", "maxTotalValueSize"]
    },
    "Worker.Binding.workerLoader": {"id": _differs("of one worker: workers do not share what they loaded")},
    "Worker.Binding.WrappedBinding": {"moduleName": READ, "entrypoint": READ, "innerBindings": READ},
}

_CONFIG: Final[Mapping[str, Mapping[str, Field]]] = {
    "Config": {
        "services": READ,
        "sockets": READ,
        "v8Flags": _ignored("there is no V8 here"),
        "extensions": _differs("for JavaScript workers"),
        "autogates": _ignored("there are no gates here"),
        "structuredLogging": _ignored("start pyworkerd serve with --log json"),
        "logging": READ,
    },
    "LoggingOptions": {
        "structuredLogging": _ignored("start pyworkerd serve with --log json"),
        "stdoutPrefix": _ignored("each line of a log says what it is of"),
        "stderrPrefix": _ignored("each line of a log says what it is of"),
    },
    "Extension": {"modules": READ},
    "Extension.Module": {"name": READ, "internal": READ, "esModule": READ},
}

FIELDS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {**_CONFIG, **_SOCKETS, **_SERVICES, **_WORKERS, **_BINDINGS}
)
"""By struct or group and field, but for `FallbackServiceRequest`, which no configuration has."""
