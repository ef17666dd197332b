"""Recurrent networks."""

from __future__ import annotations

from normonnx.operators.facts import Facts
from normonnx.operators.kernels import recurrent as kernels

FACTS = (
    Facts(name="GRU", kernel=kernels.gru),
    Facts(name="LSTM", kernel=kernels.lstm),
    Facts(name="RNN", kernel=kernels.rnn),
)
