"""What one invocation may use of the processor and of time. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pyworkerd.errors import ExceededCpu, ExceededWallTime


class Budget(NamedTuple):
    """Both in milliseconds. `limits` names them in the configuration: `limits.cpu_ms`, or `limits.background_cpu_ms`
    for what no client waits for.
    """

    cpu_ms: float
    wall_ms: float
    limits: str = "limits."

    def too_much_cpu(self) -> ExceededCpu:
        """It ran for too long."""
        return ExceededCpu(f"the worker used more than {self.cpu_ms:g} ms of CPU time ({self.limits}cpu_ms)")

    def too_much_time(self) -> ExceededWallTime:
        """It did not end."""
        return ExceededWallTime(f"the invocation took longer than {self.wall_ms:g} ms ({self.limits}wall_ms)")
