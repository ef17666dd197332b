"""Small Keras models with norms, exported by tf2onnx and by Keras itself at several opsets.

    python benchmarks/keras_exports.py DIRECTORY

Needs tensorflow, tf2onnx and onnx in its environment, and nothing of normonnx; where torch is
there too, KERAS_BACKEND=torch exports through torch instead. The files are what
`benchmarks/norms_found.py --keras DIRECTORY` looks at; they are not kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # type: ignore[import-not-found]
import numpy as np
from keras import layers

OPSETS: tuple[int, ...] = (13, 15, 17, 18)
KERAS_OPSETS: tuple[int, ...] = (15, 18)
WIDTH = 24
"""No power of two: 1/24 is rounded where a converter multiplies by it."""

Layer = Callable[[Any], Any]


def rows(*own: Layer, length: int | None = 5) -> Any:
    """Layers one after the other on rows."""
    x = y = keras.Input((length, WIDTH), name="x")
    for layer in own:
        y = layer(y)
    return keras.Model(x, y)


def image(*own: Layer) -> Any:
    """Layers one after the other on an image, channels last."""
    x = y = keras.Input((8, 6, 3), name="x")
    for layer in own:
        y = layer(y)
    return keras.Model(x, y)


def gelu(x: Any) -> Any:
    """The approximate one: tf2onnx does not know what TensorFlow makes of the other, Erfc."""
    return keras.activations.gelu(x, approximate=True)


def transformer() -> Any:
    """Two blocks, the norm before attention and before the feed-forward layers."""
    x = y = keras.Input((7, WIDTH), name="x")
    for _ in range(2):
        z = layers.LayerNormalization(epsilon=1e-6)(y)
        y = layers.Add()([y, layers.MultiHeadAttention(4, 6)(z, z)])
        z = layers.LayerNormalization(epsilon=1e-6)(y)
        z = layers.Dense(WIDTH)(layers.Dense(48, activation=gelu)(z))
        y = layers.Add()([y, z])
    y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))
    return keras.Model(x, layers.Dense(3, activation="softmax")(y))


def network(norm: Callable[[], Layer]) -> Any:
    """Convolutions with a norm behind each, and a residual."""
    x = keras.Input((16, 16, 3), name="x")
    y = layers.ReLU()(norm()(layers.Conv2D(16, 3, padding="same", use_bias=False)(x)))
    z = layers.ReLU()(norm()(layers.Conv2D(16, 3, padding="same", use_bias=False)(y)))
    y = layers.Add()([y, norm()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(z))])
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    return keras.Model(x, layers.Dense(3)(y))


CASES: dict[str, Callable[[], Any]] = {
    "batch_norm_of_rows": lambda: rows(layers.BatchNormalization()),
    "batch_norm_of_images": lambda: image(layers.Conv2D(8, 3), layers.BatchNormalization()),
    "layer_norm": lambda: rows(layers.LayerNormalization()),
    "layer_norm_any_length": lambda: rows(layers.LayerNormalization(), length=None),
    "layer_norm_two_axes": lambda: rows(layers.LayerNormalization(axis=[1, 2])),
    "layer_norm_axis_one": lambda: rows(layers.LayerNormalization(axis=1)),
    "layer_norm_plain": lambda: rows(layers.LayerNormalization(center=False, scale=False)),
    "layer_norm_of_images": lambda: image(layers.Conv2D(8, 3), layers.LayerNormalization()),
    "rms_norm": lambda: rows(layers.RMSNormalization()),
    "group_norm_of_rows": lambda: rows(layers.GroupNormalization(4)),
    "group_norm_of_images": lambda: image(layers.Conv2D(8, 3), layers.GroupNormalization(4)),
    "group_norm_one_group": lambda: image(layers.Conv2D(8, 3), layers.GroupNormalization(1)),
    "group_norm_of_channels": lambda: image(layers.Conv2D(8, 3), layers.GroupNormalization(-1)),
    "unit_norm": lambda: rows(layers.UnitNormalization()),
    "transformer": transformer,
    "cnn_batch_norm": lambda: network(layers.BatchNormalization),
    "cnn_layer_norm": lambda: network(layers.LayerNormalization),
    "cnn_group_norm": lambda: network(lambda: layers.GroupNormalization(4)),
}


def built(build: Callable[[], Any]) -> Any:
    """The model, its weights drawn: fresh scales are ones and would be no test."""
    keras.utils.set_random_seed(0)
    model = build()
    drawn = np.random.default_rng(0)
    model.set_weights([drawn.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    model(np.zeros([d or 4 for d in model.inputs[0].shape], np.float32))  # or it cannot be exported
    return model


def by_tf2onnx(model: Any, path: Path, opset: int) -> None:
    import tensorflow as tf  # type: ignore[import-untyped]
    import tf2onnx  # type: ignore[import-not-found]

    signature = [tf.TensorSpec(v.shape, v.dtype, name=v.name) for v in model.inputs]
    tf2onnx.convert.from_keras(model, signature, opset=opset, output_path=str(path))


def by_keras(model: Any, path: Path, opset: int) -> None:
    model.export(str(path), format="onnx", opset_version=opset, verbose=False)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    backend = keras.config.backend()
    ways = {f"keras-{backend}": (by_keras, KERAS_OPSETS)}
    if backend == "tensorflow":
        ways["tf2onnx"] = (by_tf2onnx, OPSETS)
    failed = 0
    for name, build in CASES.items():
        for way, (export, opsets) in ways.items():
            for opset in opsets:
                path = folder / f"keras_{name}__{way}{opset}.onnx"
                try:
                    export(built(build), path, opset)
                except Exception as error:
                    failed += 1
                    reason = str(error).strip().splitlines() or [""]
                    print(f"{path.name}: {type(error).__name__}: {reason[0][:120]}")
    count = len(list(folder.glob("*.onnx")))
    version = f"Keras {keras.__version__} on {backend}"
    print(f"{count} models in {folder}, {failed} could not be exported ({version})")


if __name__ == "__main__":
    main()
