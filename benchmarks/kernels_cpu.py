"""The CPU kernels of the custom operators beside ONNX Runtime's own, in one process, in turns.

    python -m benchmarks.kernels_cpu [--threads N] [--rounds N] [--shapes 128x768 ...]

Every contestant runs its model through a session with its inputs and output bound, and all of a
contest read and write the same memory. Each round times all of them one after the other, each after
a call that is not timed, so that what else the machine does meets them alike; in CPU time where
there is one thread. Times are medians over the rounds, and a ratio is the median of the ratios
within a round. ``copy`` is NumPy's copy of X to that output: what reads and writes the tensor once.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime

from normonnx.ops.operators import DOMAIN, VERSION
from normonnx.runtime.library import library_facts

RESULTS = Path(__file__).parent / "results" / "kernels_cpu.json"
SHAPES = ("1x768", "128x768", "512x1024", "4096x768", "4096x4096")
TYPES: dict[str, tuple[int, Any]] = {
    "float32": (onnx.TensorProto.FLOAT, np.float32),
    "float16": (onnx.TensorProto.FLOAT16, np.float16),
    "bfloat16": (onnx.TensorProto.BFLOAT16, ml_dtypes.bfloat16),
}
# Elements in the calls of one measurement, and seconds that one contestant may take of a round.
_ELEMENTS = 3_000_000
_SECONDS = 0.25

Node = tuple[str, str, str, str]  # domain, op_type, inputs, output
_LAYER_NORM: list[Node] = [("", "LayerNormalization", "XSB", "Y")]
_SKIP_LAYER_NORM: list[Node] = [("com.microsoft", "SkipLayerNormalization", "XRSB", "Y")]
_ADD_LAYER_NORM: list[Node] = [("", "Add", "XR", "T"), ("", "LayerNormalization", "TSB", "Y")]
# What does the same: without a residual, with one, and RMSNorm. The first of each is ours.
CONTESTS: dict[str, dict[str, tuple[list[Node], bool]]] = {
    "LayerNorm": {
        "ours": ([(DOMAIN, "FusedLayerNormalization", "XSB", "Y")], True),
        "LayerNormalization": (_LAYER_NORM, True),
    },
    "Add + LayerNorm": {
        "ours": ([(DOMAIN, "FusedAddLayerNormalization", "XRSB", "Y")], True),
        "SkipLayerNormalization": (_SKIP_LAYER_NORM, True),
        "Add, LayerNormalization": (_ADD_LAYER_NORM, False),
        "Add, LayerNormalization, optimised": (_ADD_LAYER_NORM, True),
    },
    "RMSNorm": {
        "ours": ([(DOMAIN, "FusedRMSNormalization", "XS", "Y")], True),
        "RMSNormalization": ([("", "RMSNormalization", "XS", "Y")], True),
        "SimplifiedLayerNormalization": ([("", "SimplifiedLayerNormalization", "XS", "Y")], True),
    },
}


class Tensors:
    """The memory of one contest, as ONNX Runtime itself allocates it."""

    def __init__(self, data: dict[str, Any], dtype: str) -> None:
        self.inputs = {name: _tensor(data[name], dtype) for name in "XR"}
        self.output = _tensor(np.zeros_like(data["X"]), dtype)
        self.source, self.target = _words(self.inputs["X"]), _words(self.output)

    def result(self, like: Any) -> Any:
        """The output as float64."""
        room = np.empty_like(like)
        ctypes.memmove(room.ctypes.data, self.output.data_ptr(), room.nbytes)
        return room.astype(np.float64)

    def copy(self) -> None:
        """X to the output, by NumPy."""
        np.copyto(self.target, self.source)


class Contestant:
    """A session with everything bound."""

    def __init__(
        self,
        nodes: list[Node],
        dtype: str,
        data: dict[str, Any],
        tensors: Tensors,
        threads: int,
        optimise: bool,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        if not optimise:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.register_custom_ops_library(str(library_facts().path))
        self.session = onnxruntime.InferenceSession(
            _model(nodes, dtype, data), options, providers=["CPUExecutionProvider"]
        )
        self.binding = self.session.io_binding()
        for value in self.session.get_inputs():
            self.binding.bind_ortvalue_input(value.name, tensors.inputs[value.name])
        self.binding.bind_ortvalue_output("Y", tensors.output)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)


def _model(nodes: list[Node], dtype: str, data: dict[str, Any]) -> bytes:
    element = TYPES[dtype][0]
    used = "".join(inputs for _, _, inputs, _ in nodes)
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(op_type, list(inputs), [output], domain=domain)
            for domain, op_type, inputs, output in nodes
        ],
        "kernel",
        [
            onnx.helper.make_tensor_value_info(name, element, data[name].shape)
            for name in "XR"
            if name in used
        ],
        [onnx.helper.make_tensor_value_info("Y", element, data["X"].shape)],
        [
            onnx.helper.make_tensor(name, element, data[name].shape, data[name].tobytes(), raw=True)
            for name in "SB"
            if name in used
        ],
    )
    opsets = {"": 23, DOMAIN: VERSION, "com.microsoft": 1}
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid(*one) for one in opsets.items()],
        ir_version=10,
    )
    return bytes(model.SerializeToString())


def _tensor(array: Any, dtype: str) -> onnxruntime.OrtValue:
    element, numpy_type = TYPES[dtype]
    kind = element if dtype == "bfloat16" else numpy_type
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), kind, "cpu", 0)
    ctypes.memmove(value.data_ptr(), array.ctypes.data, array.nbytes)
    return value


def _words(value: onnxruntime.OrtValue) -> Any:
    """The memory of a tensor as an array."""
    count = value.tensor_size_in_bytes() // 8
    return np.ctypeslib.as_array((ctypes.c_uint64 * count).from_address(value.data_ptr()))


def measure(
    contestants: dict[str, Callable[[], None]], elements: int, rounds: int, threads: int
) -> dict[str, list[float]]:
    """Microseconds per call of each contestant in each round."""
    clock = time.process_time if threads == 1 else time.perf_counter
    repeats = {}
    for name, run in contestants.items():
        run()
        start = clock()
        run()
        once = max(clock() - start, 1e-6)
        repeats[name] = max(1, min(_ELEMENTS // elements, int(_SECONDS / once)))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            run()
            start = clock()
            for _ in range(repeats[name]):
                run()
            times[name].append((clock() - start) / repeats[name] * 1e6)
    return times


def contest(what: str, dtype: str, shape: str, rounds: int, threads: int) -> dict[str, Any]:
    """Time all that do the same on one shape, and see that they give the same."""
    rows, n = map(int, shape.split("x"))
    random = np.random.default_rng(0)
    data = {
        name: random.standard_normal(dims).astype(TYPES[dtype][1])
        for name, dims in {"X": (1, rows, n), "R": (1, rows, n), "S": (n,), "B": (n,)}.items()
    }
    tensors = Tensors(data, dtype)
    contestants: dict[str, Contestant] = {}
    for name, (nodes, optimise) in CONTESTS[what].items():
        try:
            contestants[name] = Contestant(nodes, dtype, data, tensors, threads, optimise)
        except Exception as error:
            if "NOT_IMPLEMENTED" not in str(error) and "Type Error" not in str(error):
                raise
    results = {}
    for name, one in contestants.items():
        one.run()
        results[name] = tensors.result(data["X"])
    ours = results.pop("ours")
    runs: dict[str, Callable[[], None]] = {name: one.run for name, one in contestants.items()}
    times = measure(runs | {"copy": tensors.copy}, rows * n, rounds, threads)
    moved = (3 if what.startswith("Add") else 2) * data["X"].nbytes
    return {
        "what": what,
        "dtype": dtype,
        "shape": shape,
        "threads": threads,
        "microseconds": {name: round(statistics.median(one), 2) for name, one in times.items()},
        "largest_difference": {
            name: float(np.abs(one - ours).max()) for name, one in results.items()
        },
        "times_faster_than": {
            name: round(
                statistics.median(a / b for a, b in zip(one, times["ours"], strict=True)), 2
            )
            for name, one in times.items()
            if name != "ours"
        },
        "gigabytes_per_second": round(moved / statistics.median(times["ours"]) / 1e3, 1),
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    facts = library_facts()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": name,
        "system": platform.platform(),
        "onnxruntime": onnxruntime.__version__,
        "library": facts.version,
        "instruction_set": facts.cpu_isa,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = []
    for what in CONTESTS:
        for dtype in TYPES:
            for shape in arguments.shapes:
                one = contest(what, dtype, shape, arguments.rounds, arguments.threads)
                results.append(one)
                against = "  ".join(f"{k} {v:g}x" for k, v in one["times_faster_than"].items())
                ours = one["microseconds"]["ours"]
                print(f"{what:16} {dtype:9} {shape:10} {ours:10.1f} us  {against}", flush=True)
    arguments.output.write_text(
        json.dumps({"machine": machine(), "results": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
