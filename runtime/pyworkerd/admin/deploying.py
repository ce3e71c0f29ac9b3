"""Deploying by the API: versions of a service, which of them answer, and its secrets.

What is decided is in `pyworkerd.versions`; here it is asked for. Every change is a reload of all serving processes with
one change more, so it happens in all of them or in none.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from time import time
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from pyworkerd_config.model import Worker

from pyworkerd.errors import StorageError
from pyworkerd.problems import Fault as Told
from pyworkerd.problems import faults_of, status_of
from pyworkerd.storage.layout import encoded
from pyworkerd.supervisor.reloading import Busy, Stopped
from pyworkerd.versions import rules
from pyworkerd.versions.archive import ARCHIVE
from pyworkerd.versions.current import Change
from pyworkerd.versions.model import Deployment, Message, Percent, Record, Secrets, Share, Version, VersionId
from pyworkerd.versions.overlay import SANDBOX, SECRET_KINDS
from pyworkerd.versions.store import Store
from pyworkerd.versions.trial import Trial

from .api import ApiError, Fault, Route
from .uploads import as_api_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd_config.model import Service

    from pyworkerd.versions.receiving import Kept

    from .api import Call

logger = logging.getLogger("pyworkerd.deploy")

MAX_SECRETS: Final = 128
"""Of one service."""
MAX_SECRET: Final = 64 * 1024

_ERRORS: Final = (404, 409, 422, 502, 503, 507)

SecretName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]


class Listed(msgspec.Struct):
    """A service that can be deployed to."""

    service: str
    live: tuple[Share, ...]
    versions: int
    deployable: bool
    """Whether it can: not what runs without a sandbox."""


class Services(msgspec.Struct):
    """All workers of the configuration."""

    services: list[Listed]


class View(msgspec.Struct):
    """What is known of one."""

    service: str
    live: tuple[Share, ...]
    versions: tuple[Version, ...]
    deployments: tuple[Deployment, ...]
    secrets: list[str]
    """Their names."""


class UploadQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of an upload."""

    message: Message = ""
    percent: Percent = 100.0
    """Of the requests; with 0 the version is kept and answers none."""
    smoke: Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^/[!-~]*$")] | None = None
    """Path of a GET request that must not be answered with 500 or above."""
    test: bool = False
    """Whether its `test` handler has to return."""


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    """Which versions are to answer."""

    shares: Annotated[list[Share], msgspec.Meta(min_length=1, max_length=2)]
    message: Message = ""


class RollBack(msgspec.Struct, forbid_unknown_fields=True):
    """Which version is to answer again."""

    version: VersionId | None = None
    """None: the last one that answered alone."""
    message: Message = ""


class Promote(msgspec.Struct, forbid_unknown_fields=True):
    """The second version is to answer alone."""

    message: Message = ""


class Done(msgspec.Struct):
    """What answers now."""

    service: str
    live: tuple[Share, ...]
    version: Version | None = None
    """What was uploaded."""
    milliseconds: float = 0.0


class SecretValue(msgspec.Struct, forbid_unknown_fields=True):
    """A secret."""

    value: Annotated[str, msgspec.Meta(max_length=MAX_SECRET)]

    def __repr__(self) -> str:
        return "<secret>"


class SecretNames(msgspec.Struct):
    """What there is; values are never told."""

    secrets: list[str]


async def _services(call: Call) -> Services:
    store = Store(call.server.config.state_dir)
    folders = store.services()
    found = [
        Listed(s.name, record.live, len(record.versions), s.kind.isolation == SANDBOX)
        for s in call.server.config.services
        if isinstance(s.kind, Worker)
        for record in (store.record(s.name) if encoded(s.name) in folders else Record(s.name),)
    ]
    return Services(found)


async def _service(call: Call) -> View:
    name = _known(call).name
    store = Store(call.server.config.state_dir)
    record = store.record(name)
    return View(name, record.live, record.versions, record.deployments, sorted(store.secrets(name).values))


async def _upload(call: Call) -> Done:
    service, began = deployable(call), time()
    return await call.uploads.deploy(call, service.name, partial(_go_over_to, call, service.name, began))


async def _go_over_to(call: Call, service: str, began: float, kept: Kept) -> Done:
    query: UploadQuery = call.query
    by, now = _name(call), time()
    version = Version(kept.id, now, by, query.message, kept.main, kept.vars, kept.files, kept.size, kept.site)

    def change(record: Record) -> Record:
        record = rules.with_version(record, version)
        return rules.rolled_out(record, version.id, query.percent, by, query.message, now)

    trial = Trial(service, query.percent < 100, query.smoke, query.test) if query.percent else None
    done = await _done(call, Change(service, change, trial=trial), began)
    known = Store(call.server.config.state_dir).record(service).versions
    done.version = next((each for each in known if each.id == version.id), version)
    return done


async def _deploy(call: Call) -> Done:
    body: Deploy = call.body
    return await _changed(call, partial(rules.deployed, shares=body.shares), body.message)


async def _roll_back(call: Call) -> Done:
    body: RollBack = call.body
    return await _changed(call, partial(rules.rolled_back, version=body.version), body.message)


async def _promote(call: Call) -> Done:
    return await _changed(call, rules.promoted, call.body.message)


async def _changed(call: Call, rule: Callable[..., Record], message: str) -> Done:
    began, service = time(), deployable(call)
    record = partial(rule, by=_name(call), message=message, now=time())
    return await _done(call, Change(service.name, record), began)


async def _done(call: Call, change: Change, began: float) -> Done:
    await _go_over(call, change)
    live = Store(call.server.config.state_dir).record(change.service).live
    shown = ", ".join(f"{share.version} {share.percent:g} %" for share in live)
    logger.info("service %s: %s answers now, deployed by %s", change.service, shown, _name(call))
    return Done(change.service, live, None, round((time() - began) * 1000, 1))


# secrets ---------------------------------------------------------------------------------------------


async def _secrets(call: Call) -> SecretNames:
    secrets = Store(call.server.config.state_dir).secrets(_known(call).name)
    return SecretNames(sorted(secrets.values))


async def _put_secret(call: Call) -> SecretNames:
    service, name = _known(call), _secret_name(call)
    assert isinstance(service.kind, Worker)
    of_assets = service.kind.assets is not None and service.kind.assets.binding == name
    if of_assets or any(b.name == name and b.kind not in SECRET_KINDS for b in service.kind.bindings):
        raise ApiError(409, f"the configuration has a binding {name!r} that is no value: choose another name")
    value = call.body.value

    def put(secrets: Secrets) -> Secrets:
        if name not in secrets.values and len(secrets.values) >= MAX_SECRETS:
            raise rules.RuleError(f"the service has {MAX_SECRETS} secrets already: delete one")
        return msgspec.structs.replace(secrets, values={**secrets.values, name: value})

    await _go_over(call, Change(service.name, secrets=put))
    logger.info("service %s: the secret %s was put by %s", service.name, name, _name(call))
    return await _secrets(call)


async def _delete_secret(call: Call) -> SecretNames:
    service, name = _known(call), _secret_name(call)
    if name not in Store(call.server.config.state_dir).secrets(service.name).values:
        raise ApiError(404, f"the service {service.name!r} has no secret {name!r}")

    def delete(secrets: Secrets) -> Secrets:
        values = {key: value for key, value in secrets.values.items() if key != name}
        return msgspec.structs.replace(secrets, values=values)

    await _go_over(call, Change(service.name, secrets=delete))
    logger.info("service %s: the secret %s was deleted by %s", service.name, name, _name(call))
    return await _secrets(call)


def _secret_name(call: Call) -> str:
    try:
        return msgspec.convert(call.path["name"], SecretName)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"the name of the secret: {error}") from None


# what they have in common ----------------------------------------------------------------------------


def _known(call: Call) -> Service:
    name = call.path["service"]
    for service in call.server.config.services:
        if service.name == name and isinstance(service.kind, Worker):
            return service
    raise ApiError(404, f"the configuration of the server has no worker named {name[:256]!r}")


def deployable(call: Call) -> Service:
    """The service that a path names. Raises `ApiError` if there is none, or it is not deployed to."""
    service = _known(call)
    assert isinstance(service.kind, Worker)
    if service.kind.isolation != SANDBOX:
        raise ApiError(
            409, f"{service.name!r} runs without a sandbox: only the operator can change its files"
        )
    return service


def _name(call: Call) -> str:
    assert call.caller is not None
    return call.caller.name


async def _go_over(call: Call, change: Change) -> None:
    try:
        await call.server.change(change)
    except Busy:
        raise ApiError(503, "too many changes wait already: try again") from None
    except Stopped:
        raise ApiError(503, "the server ends: look at what answers once it is back") from None
    except rules.RuleError as error:
        raise ApiError(409, str(error)) from None
    except StorageError as error:
        raise as_api_error(error) from None
    except Exception as error:
        if status_of(error) is None:
            raise
        told = [_without_places(call, each) for each in faults_of(error)]
        raise ApiError(422, _said(told), list(map(_fault, told))) from None


def _said(faults: Sequence[Told]) -> str:
    return f"nothing has changed: {faults[0].text if faults else 'it does not work'}"


def _without_places(call: Call, told: Told) -> Told:
    """Files of a version by their names in it: where the server keeps them is nobody's business."""
    root = re.escape(str(Store(call.server.config.state_dir).root))
    place = re.compile(root + r"/[^/]+/files/[0-9a-f]{16}/")
    file, message = (None if each is None else place.sub("", each) for each in (told.file, told.message))
    return told._replace(text=place.sub("", told.text), file=file, message=message)


def _fault(told: Told) -> Fault:
    return Fault(*told)


_ROOT: Final = "/services/{service}"

ROUTES: Final = (
    Route(
        "GET",
        "/services",
        _services,
        "Workers of the configuration, and what answers",
        Services,
        errors=(502,),
    ),
    Route(
        "GET",
        _ROOT,
        _service,
        "Versions, deployments and names of secrets of a worker",
        View,
        errors=(404, 502),
    ),
    Route(
        "POST",
        f"{_ROOT}/versions",
        _upload,
        "Upload a version: a tar archive, compressed with gzip. It is tried, and answers then",
        Done,
        query=UploadQuery,
        body=ARCHIVE,
        errors=(*_ERRORS, 408),
    ),
    Route(
        "POST",
        f"{_ROOT}/deployments",
        _deploy,
        "Say which versions answer",
        Done,
        body=Deploy,
        errors=_ERRORS,
    ),
    Route(
        "POST",
        f"{_ROOT}/rollback",
        _roll_back,
        "Let a version answer again",
        Done,
        body=RollBack,
        errors=_ERRORS,
    ),
    Route(
        "POST",
        f"{_ROOT}/promote",
        _promote,
        "End a rollout: the second version answers",
        Done,
        body=Promote,
        errors=_ERRORS,
    ),
    Route("GET", f"{_ROOT}/secrets", _secrets, "Names of a worker's secrets", SecretNames, errors=(404, 502)),
    Route(
        "PUT",
        f"{_ROOT}/secrets/{{name}}",
        _put_secret,
        "Put a secret: `env` has it in all isolates that start from now on",
        SecretNames,
        body=SecretValue,
        errors=_ERRORS,
    ),
    Route(
        "DELETE", f"{_ROOT}/secrets/{{name}}", _delete_secret, "Delete a secret", SecretNames, errors=_ERRORS
    ),
)
