"""Many models, each on its own: in processes here, on an executor, or on a cluster."""

from __future__ import annotations

from normonnx.fleet.many import on_executor, optimize_many, work_through
from normonnx.fleet.one import Deliver, Task, optimize_one

__all__ = ["Deliver", "Task", "on_executor", "optimize_many", "optimize_one", "work_through"]
