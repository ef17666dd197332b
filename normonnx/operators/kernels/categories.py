"""The operators of ai.onnx.ml that onnx.reference does not have: texts, numbers and maps."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Call, Inputs, Outputs, present


def category_mapper(call: Call, inputs: Inputs) -> Outputs:
    """Texts to the numbers they stand for, or back; what is not listed gets the default."""
    x = present(inputs, 0)
    texts, numbers = call.get("cats_strings"), call.get("cats_int64s")
    if x.dtype.kind == "i":
        named = dict(zip(numbers, texts, strict=True))
        found = [named.get(int(n), call.get("default_string", "_Unused")) for n in x.reshape(-1)]
        return (np.array(found, dtype=object).reshape(x.shape),)
    numbered = dict(zip(texts, numbers, strict=True))
    found = [numbered.get(str(t), call.get("default_int64", -1)) for t in x.reshape(-1)]
    return (np.array(found, dtype=np.int64).reshape(x.shape),)


def zip_map(call: Call, inputs: Inputs) -> Outputs:
    """Scores ``[N, C]`` or ``[C]`` → a list of N maps from the C labels to their scores."""
    scores = np.atleast_2d(present(inputs, 0))
    labels = call.get("classlabels_strings") or call.get("classlabels_int64s")
    return ([dict(zip(labels, row, strict=True)) for row in scores],)  # type: ignore[return-value]
