"""What is wrong with a key or an operation, as the guest sees it: a DOMException of the standard."""

from __future__ import annotations

from pyworkerd.errors import WorkerException


def data_error(message: str) -> WorkerException:
    """The bytes of a key are not what they should be (`DataError`)."""
    return WorkerException("DataError", message)


def operation_error(message: str) -> WorkerException:
    """The operation failed, for a reason that lies in what it was given (`OperationError`)."""
    return WorkerException("OperationError", message)


def not_supported(message: str) -> WorkerException:
    """There is no such algorithm here (`NotSupportedError`)."""
    return WorkerException("NotSupportedError", message)
