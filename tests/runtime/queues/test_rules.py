"""What a message may be."""

from __future__ import annotations

from typing import Any

import pytest
from pyworkerd.errors import BadCall, WorkerException
from pyworkerd.queues.rules import MAX_BATCH_BYTES, MAX_DELAY_S, MAX_MESSAGE, Draft, drafts


def test_messages_take_the_delay_of_their_queue_unless_they_have_one() -> None:
    assert drafts([[b"a", "json", None], [b"b", "text", 0], [b"c", "v8", 1.5]], "send", 7.0) == [
        Draft(b"a", "json", 7.0), Draft(b"b", "text", 0.0), Draft(b"c", "v8", 1.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([[bytes(MAX_MESSAGE + 1), "bytes", None]],
         "Queue send failed: message length of 128001 bytes exceeds limit of 128000"),
        ([[b"x", "json", None]] * 101, "Queue send failed: message count of 101 exceeds limit of 100"),
        ([[bytes(MAX_MESSAGE), "json", None]] * 3,
         f"total message size of 384000 bytes exceeds limit of {MAX_BATCH_BYTES}"),
        ([[b"x", "json", -1]], f"delaySeconds must be between 0 and {MAX_DELAY_S}"),
        ([[b"x", "json", MAX_DELAY_S + 1]], "delaySeconds"),
        ([[b"x", "json", float("nan")]], "delaySeconds"),
        ([[b"x", "json", True]], "delaySeconds"),
        ([[b"x", "json", "1"]], "delaySeconds"),
        ([], "there is nothing to send"),
    ],
)  # fmt: skip
def test_what_the_platform_refuses(messages: Any, message: str) -> None:
    with pytest.raises(BadCall) as raised:
        drafts(messages, "send", 0.0)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "messages",
    [
        [["text", "json", None]],
        [[b"x", "xml", None]],
        [[b"x", "json"]],
        ["x"],
        [[b"x", None, None]],
        [[b"x", {}, None]],
        [[b"x", [], None]],
    ],
)
def test_what_is_no_message_is_a_type_error(messages: Any) -> None:
    with pytest.raises(WorkerException) as raised:
        drafts(messages, "send", 0.0)
    assert raised.value.type_name == "TypeError"


def test_the_largest_batch_goes_through() -> None:
    assert len(drafts([[bytes(MAX_MESSAGE), "bytes", MAX_DELAY_S]] * 2, "sendBatch", 0.0)) == 2
