"""The Workers SDK for Python, compatible with Cloudflare's `workers` module.

from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""

from _pyworkerd.environment import Context, env

from .blob import Blob, BlobEnding, File
from .body import BodyStream
from .caches import caches
from .durable import DurableObject, DurableObjectAbort, DurableObjectId
from .entrypoint import WorkerEntrypoint, handler, import_from_javascript, patch_env, wait_until
from .fetching import fetch
from .form_data import FormData
from .headers import Headers
from .object_sockets import WebSocketRequestResponsePair
from .request import Request
from .response import FetchResponse, Response
from .rpc import JsDict, python_from_rpc, python_to_rpc
from .storage import SqlError
from .stubs import RpcPromise, RpcProperty, RpcStub, RpcTarget
from .websocket import CloseEvent, ErrorEvent, MessageEvent, WebSocket, WebSocketPair
from .writing import WritableStream

waitUntil = wait_until
Body = JSBody = object
FetchKwargs = RequestInitCfProperties = dict
"""Names that annotations use: what may be a body, the options of `fetch()`, and `cf`."""

__all__ = [
    "Blob",
    "BlobEnding",
    "Body",
    "BodyStream",
    "CloseEvent",
    "Context",
    "DurableObject",
    "DurableObjectAbort",
    "DurableObjectId",
    "ErrorEvent",
    "FetchKwargs",
    "FetchResponse",
    "File",
    "FormData",
    "Headers",
    "JSBody",
    "JsDict",
    "MessageEvent",
    "Request",
    "RequestInitCfProperties",
    "Response",
    "RpcPromise",
    "RpcProperty",
    "RpcStub",
    "RpcTarget",
    "SqlError",
    "WebSocket",
    "WebSocketPair",
    "WebSocketRequestResponsePair",
    "WorkerEntrypoint",
    "WritableStream",
    "caches",
    "env",
    "fetch",
    "handler",
    "import_from_javascript",
    "patch_env",
    "python_from_rpc",
    "python_to_rpc",
    "waitUntil",
    "wait_until",
]
