"""A model in ONNX Runtime, as a user would run it, in one setting.

This file imports little beside ONNX Runtime: the process that measures memory runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from normonnx.benching.options import Registered, Setting
from normonnx.runtime.providers import PROVIDERS, preload

_ERRORS_ONLY = 3


def open_session(
    path: Path, setting: Setting, registered: Registered, *, profile_to: Path | None = None
) -> Any:
    """A session on the model in a file.

    Args:
        path: of the model.
        setting: how it is to run.
        registered: with which libraries of custom operators.
        profile_to: where the runtime shall write what each operator took; a prefix.
    """
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = {
        "off": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "all": levels.ORT_ENABLE_ALL,
    }[setting.level]
    options.intra_op_num_threads = setting.threads
    options.log_severity_level = _ERRORS_ONLY
    if profile_to is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_to)
    providers = [PROVIDERS[setting.provider]]
    if setting.provider != "cpu":
        preload()
        providers.append(PROVIDERS["cpu"])
    registered.extensions.register(options, providers, kernels=registered.kernels)
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def needed(session: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """The feeds that a session asks for."""
    return {value.name: feeds[value.name] for value in session.get_inputs() if value.name in feeds}


def peak_bytes() -> int:
    """The most memory this process has held since its program began."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    import resource

    # What getrusage says would on Linux include the parent's, which had this process forked.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak << 10)
