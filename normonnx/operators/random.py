"""Random numbers. Dropout draws none unless it is told to train."""

from __future__ import annotations

from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts

FACTS = (
    *(
        Facts(name=name, random=True)
        for name in """Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform
        RandomUniformLike""".split()
    ),
    Facts(name="Dropout", moves=(0,), dims=same),
)
