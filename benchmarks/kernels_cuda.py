"""The CUDA kernels beside a copy of the same size, ONNX Runtime's own and torch's: needs a GPU.

    python -m benchmarks.kernels_cuda [--rows ...] [--lengths ...] [--output FILE]

torch's contestants and the copy are CUDA graphs of many launches, the sessions of ONNX Runtime
run one after the other on the same stream without waiting; so where rows are few, a session's
figure is the host's time and not the kernel's. All go over buffers that together are larger than
the cache, and take turns, timed by events. Every figure comes with the time of a device-to-device
copy of the same bytes in the same run: ``share_of_copy`` is copy / time. Before a shape is timed
its result is held against float64 on a sample of rows.

torch is needed for memory, graphs and events, and is a contestant itself, eager and compiled.
Nothing is written, and the exit is 4, where there is no GPU.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from normonnx.ops.operators import DOMAIN, VERSION
from normonnx.ops.references import reference
from normonnx.runtime.library import library_facts, register_custom_ops

RESULTS = Path(__file__).parent / "results" / "kernels_cuda.json"
ROWS = (1, 8, 64, 512, 4096, 16384, 65536)
LENGTHS = (64, 768, 1000, 1024, 1025, 2048, 4096, 8192, 8193, 16384, 32768, 65536, 131072)
TYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16,
}
# Bytes that the buffers of one measurement cover, and that no shape may exceed by itself.
_ROTATION_BYTES = 512 << 20
_LARGEST_BYTES = 8 << 30
_LAUNCHES = 20
_SAMPLES = 50
_TOLERANCE = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        print("torch is not installed")
        return 4
    if not torch.cuda.is_available() or not library_facts().has_cuda:
        print("there is no GPU here, or the library has no CUDA kernels")
        return 4
    results = []
    for dtype in TYPES:
        for n in arguments.lengths:
            for rows in arguments.rows:
                if rows * n * getattr(torch, dtype).itemsize > _LARGEST_BYTES:
                    continue
                results.append(_contest(torch, dtype, rows, n))
                print(json.dumps(results[-1]))
    machine = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "library": library_facts().version,
    }
    arguments.output.write_text(
        json.dumps({"machine": machine, "results": results}, indent=1) + "\n"
    )
    return 0


def _contest(torch: Any, dtype: str, rows: int, n: int) -> dict[str, Any]:
    """Microseconds per call of everybody on one shape, by turns."""
    kind = getattr(torch, dtype)
    size = rows * n * kind.itemsize
    count = max(1, min(64, _ROTATION_BYTES // (2 * size)))
    generator = torch.Generator("cuda").manual_seed(0)
    xs = [
        torch.randn(rows, n, device="cuda", dtype=kind, generator=generator) for _ in range(count)
    ]
    ys = [torch.empty_like(x) for x in xs]
    scale = torch.randn(n, device="cuda", dtype=kind, generator=generator)
    bias = torch.randn(n, device="cuda", dtype=kind, generator=generator)
    normalise = torch.nn.functional.layer_norm
    compiled = torch.compile(normalise, dynamic=False, mode="max-autotune-no-cudagraphs")
    graphs = {
        "copy": _graph(torch, lambda i: ys[i].copy_(xs[i]), count),
        "torch": _graph(torch, lambda i: normalise(xs[i], (n,), scale, bias), count),
        "torch compiled": _graph(torch, lambda i: compiled(xs[i], (n,), scale, bias), count),
    }
    runs: dict[str, Callable[[], None]] = {name: graph.replay for name, graph in graphs.items()}
    for name, node in (
        ("ours", (DOMAIN, "FusedLayerNormalization")),
        ("LayerNormalization", ("", "LayerNormalization")),
    ):
        runs[name] = _session(torch, node, TYPES[dtype], xs, ys, scale, bias)
    _check(torch, dtype, runs["ours"], xs, ys, scale, bias)
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_SAMPLES):
        for name, run in runs.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            end.synchronize()
            calls = count if name in ("ours", "LayerNormalization") else max(_LAUNCHES, count)
            samples[name].append(begin.elapsed_time(end) * 1e3 / calls)
    times = {name: round(statistics.median(values), 3) for name, values in samples.items()}
    return {
        "dtype": dtype,
        "rows": rows,
        "n": n,
        "microseconds": times,
        "share_of_copy": {name: round(times["copy"] / t, 3) for name, t in times.items()},
    }


def _graph(torch: Any, call: Callable[[int], Any], count: int) -> Any:
    call(0)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for launch in range(max(_LAUNCHES, count)):
            call(launch % count)
    return graph


def _session(
    torch: Any,
    node: tuple[str, str],
    element: int,
    xs: list[Any],
    ys: list[Any],
    scale: Any,
    bias: Any,
) -> Callable[[], None]:
    """One session on torch's stream that runs over all buffers, without waiting in between."""
    import onnxruntime

    domain, op_type = node
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op_type, ["X", "S", "B"], ["Y"], domain=domain)],
        "kernel",
        [
            onnx.helper.make_tensor_value_info(name, element, list(value.shape))
            for name, value in (("X", xs[0]), ("S", scale), ("B", bias))
        ],
        [onnx.helper.make_tensor_value_info("Y", element, list(xs[0].shape))],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid(DOMAIN, VERSION)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    stream = torch.cuda.current_stream().cuda_stream
    providers = [("CUDAExecutionProvider", {"user_compute_stream": str(stream)})]
    options = onnxruntime.SessionOptions()
    register_custom_ops(options, providers)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    run_options = onnxruntime.RunOptions()
    run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    bindings = []
    for x, y in zip(xs, ys, strict=True):
        binding = session.io_binding()
        for name, value in (("X", x), ("S", scale), ("B", bias)):
            binding.bind_input(name, "cuda", 0, element, list(value.shape), value.data_ptr())
        binding.bind_output("Y", "cuda", 0, element, list(y.shape), y.data_ptr())
        bindings.append(binding)

    def run() -> None:
        for binding in bindings:
            session.run_with_iobinding(binding, run_options)

    return run


def _check(
    torch: Any,
    dtype: str,
    run: Callable[[], None],
    xs: list[Any],
    ys: list[Any],
    scale: Any,
    bias: Any,
) -> None:
    """A sample of rows against float64; ends the benchmark if one is off."""
    run()
    torch.cuda.synchronize()
    picked = np.unique(np.linspace(0, len(xs[0]) - 1, 16).astype(np.int64))
    x, y, gamma, beta = (
        one.double().cpu().numpy() for one in (xs[0][picked], ys[0][picked], scale, bias)
    )
    (want,) = reference("FusedLayerNormalization", [x, gamma, beta])
    error = float((np.abs(y - want) / np.maximum(1, np.abs(want))).max())
    if not error < _TOLERANCE[dtype]:
        raise SystemExit(f"{dtype} {tuple(xs[0].shape)}: off by {error}")


if __name__ == "__main__":
    sys.exit(main())
