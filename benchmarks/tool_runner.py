"""Hands models to one tool. Runs in an environment of its own, without normonnx.

    python tool_runner.py TOOL FOLDER OUTPUT

For each model of the folder the tool's result goes to OUTPUT under the same name, and what it
raised, in one line, to OUTPUT/<name>.txt.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path


def onnxruntime_offline(source: Path, target: Path, level: str = "EXTENDED") -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def onnxruntime_transformers(source: Path, target: Path) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    optimize_model(str(source), model_type="bert", opt_level=0).save_model_to_file(str(target))


def onnxruntime_transformers_unet(source: Path, target: Path) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    optimize_model(str(source), model_type="unet", opt_level=0).save_model_to_file(str(target))


def onnxsim(source: Path, target: Path) -> None:
    import onnx
    import onnxsim as tool

    model, _ = tool.simplify(onnx.load(source))
    onnx.save(model, target)


def onnxslim(source: Path, target: Path) -> None:
    import onnx
    import onnxslim as tool

    onnx.save(tool.slim(onnx.load(source)), target)


def onnxoptimizer(source: Path, target: Path) -> None:
    import onnx
    import onnxoptimizer as tool

    passes = [p for p in tool.get_fuse_and_elimination_passes() if "fuse" in p]
    onnx.save(tool.optimize(onnx.load(source), passes), target)


def onnxscript(source: Path, target: Path) -> None:
    import onnx
    from onnxscript import optimizer, rewriter

    onnx.save(rewriter.rewrite(optimizer.optimize(onnx.load(source))), target)


TOOLS: dict[str, Callable[[Path, Path], None]] = {
    "onnxruntime offline": onnxruntime_offline,
    "ORT basic": partial(onnxruntime_offline, level="BASIC"),
    "ORT extended": onnxruntime_offline,
    "onnxruntime.transformers": onnxruntime_transformers,
    "onnxruntime.transformers, unet": onnxruntime_transformers_unet,
    "onnxsim": onnxsim,
    "onnxslim": onnxslim,
    "onnxoptimizer": onnxoptimizer,
    "onnxscript": onnxscript,
}


def main(tool: str, folder: str, output: str) -> None:
    for source in sorted(Path(folder).glob("*.onnx")):
        target = Path(output, source.name)
        try:
            TOOLS[tool](source, target)
        except Exception as error:
            line = " ".join(str(error).split())[:200]
            target.with_suffix(".txt").write_text(f"{type(error).__name__}: {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
