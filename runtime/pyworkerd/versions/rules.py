"""What may become of a service's versions. Pure: from a record to the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from .model import CONFIGURED, Deployment, Record, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Version

KEPT_VERSIONS: Final = 20
"""Of one service; one more, and the oldest that does not answer is gone."""
KEPT_DEPLOYMENTS: Final = 100


class RuleError(Exception):
    """It cannot be done as things stand; the sentence says why."""


def with_version(record: Record, version: Version) -> Record:
    """It is known from now on. One that is known already stays what it was."""
    if any(each.id == version.id for each in record.versions):
        return record
    return replace(record, versions=(*record.versions, version))


def deployed(record: Record, shares: Sequence[Share], by: str, message: str, now: float) -> Record:
    """These versions answer from now on. Raises `RuleError`."""
    wanted = tuple(share for share in shares if share.percent > 0)
    must_be_sound(record, wanted)
    deployments = (*record.deployments, Deployment(now, by, message, wanted))
    return _within_bounds(replace(record, deployments=deployments[-KEPT_DEPLOYMENTS:]))


def rolled_out(record: Record, version: str, percent: float, by: str, message: str, now: float) -> Record:
    """A version gets so many of the requests, and what answers them now the rest.

    With 0 it is known and gets none. Where two versions answer already it takes the place of the second one. Raises
    `RuleError`.
    """
    if percent <= 0:
        return _within_bounds(record, version)
    if percent >= 100:
        return deployed(record, [Share(version, 100.0)], by, message, now)
    base = record.live[0].version
    if base == version:
        raise RuleError(
            f"the version {version} is the one that answers now: give another one a part of the requests"
        )
    return deployed(record, [Share(base, 100.0 - percent), Share(version, percent)], by, message, now)


def rolled_back(record: Record, version: str | None, by: str, message: str, now: float) -> Record:
    """A version alone answers again: the one that is named, or the last one that did alone before what answers now.

    Of two that answer, the second is taken back. Raises `RuleError`.
    """
    if version is None:
        version = _before(record)
    return deployed(record, [Share(version, 100.0)], by, message, now)


def promoted(record: Record, by: str, message: str, now: float) -> Record:
    """The second of two versions answers alone from now on. Raises `RuleError`."""
    if len(record.live) < 2:
        raise RuleError("one version answers all requests: there is nothing to promote")
    return deployed(record, [Share(record.live[1].version, 100.0)], by, message, now)


def _before(record: Record) -> str:
    if len(record.live) > 1:
        return record.live[0].version
    now = record.live[0].version
    known = {each.id for each in record.versions} | {CONFIGURED}
    for deployment in reversed(record.deployments[:-1]):
        alone = deployment.shares[0].version
        if len(deployment.shares) == 1 and alone != now and alone in known:
            return alone
    if now == CONFIGURED:
        raise RuleError("nothing was deployed: there is no version to go back to")
    return CONFIGURED


def must_be_sound(record: Record, shares: tuple[Share, ...]) -> None:
    """Raises `RuleError` unless these are all requests, divided among versions that the record knows."""
    if not 1 <= len(shares) <= 2:
        raise RuleError("one version answers, or two do: name one or two")
    if len({share.version for share in shares}) != len(shares):
        raise RuleError("a version is named twice")
    if abs(sum(share.percent for share in shares) - 100) > 1e-6:
        raise RuleError("the parts are not 100 % together")
    known = {each.id for each in record.versions} | {CONFIGURED}
    for share in shares:
        if share.version not in known:
            raise RuleError(f"there is no version {share.version}")


def _within_bounds(record: Record, newest: str | None = None) -> Record:
    """Without the oldest versions that are too many; those that answer, and the newest, stay."""
    spare = len(record.versions) - KEPT_VERSIONS
    if spare <= 0:
        return record
    needed = {share.version for share in record.live} | {newest, _last_alone(record)}
    gone = {each.id for each in record.versions if each.id not in needed}
    gone = {each.id for each in [v for v in record.versions if v.id in gone][:spare]}
    return replace(record, versions=tuple(each for each in record.versions if each.id not in gone))


def _last_alone(record: Record) -> str | None:
    """What a rollback goes back to."""
    try:
        return _before(record)
    except RuleError:
        return None
