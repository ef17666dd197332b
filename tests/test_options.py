"""One record of options: the API, the command line, plans, fleets and passes name the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import click
import msgspec
import numpy as np
import pytest

import normonnx
from normonnx.cli import cli
from normonnx.cli.parameters import asked
from normonnx.errors import UsageError
from normonnx.options import Asked, Options
from normonnx.passes import FoldAffine, FuseNorms, Simplify
from normonnx.plan import Plan

FIELDS = set(Options.__struct_fields__)
OTHERS: dict[str, Any] = {
    "target": "ort",
    "opset": 17,
    "freeze_initializers": True,
    "allow_duplicate": True,
    "rules_on": ["NX103"],
    "rules_off": ["NX005"],
    "sizes": {"batch": 1},
    "input_shapes": {"x": [1, 3, 32, 32]},
    "simplify": False,
    "verify": False,
    "providers": ["cuda"],
    "seed": 3,
    "data": Path("feeds.npz"),
    "rtol": {"": 1e-3, "logits": 1e-2},
    "atol": 1e-6,
    "custom_ops": [Path("lib.so")],
    "untrusted": True,
    "allow_data_dir": [Path("weights")],
    "allow_hardlinks": True,
}


def test_the_keyword_arguments_are_the_record_s() -> None:
    assert set(get_type_hints(Asked)) == FIELDS == set(OTHERS)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_is_taken_and_different_from_its_default(name: str) -> None:
    changed = Options().but(**{name: OTHERS[name]})
    assert changed != Options()
    others = FIELDS - {name}
    assert all(getattr(changed, other) == getattr(Options(), other) for other in others)
    assert changed.but() == changed
    assert FoldAffine(**{name: OTHERS[name]}).options == changed
    assert FuseNorms(**{name: OTHERS[name]}).options == changed
    assert Simplify(**{name: OTHERS[name]}).options == changed


def test_the_command_line_has_each() -> None:
    command = cli.commands["optimize"]
    given = {param.name for param in command.params if isinstance(param, click.Option)}
    assert given >= FIELDS - {"verify"}
    assert "no_verify" in given
    for name in ("inspect", "explain"):
        taken = {param.name for param in cli.commands[name].params}
        assert taken >= {"target", "opset", "rules_on", "rules_off", "allow_duplicate"}


def test_what_the_command_line_gives_becomes_the_record() -> None:
    given = {name: OTHERS[name] for name in FIELDS - {"verify"}} | {"quiet": True, "reports": ()}
    given["atol"] = {"": 1e-6}
    assert asked(given, verify=False) == Options().but(**{**OTHERS, "atol": {"": 1e-6}})
    # What was not given, click has as None or as nothing.
    nothing = dict.fromkeys(("opset", "target"), None) | dict.fromkeys(
        ("providers", "rules_on"), ()
    )
    assert asked(nothing) == Options()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"target": "tensorrt"}, "no such target: 'tensorrt'"),
        ({"target": 3}, "target cannot be 3"),
        ({"opset": 0}, "no such opset: 0"),
        ({"rules_on": ["NX999"]}, "no such rule: 'NX999'"),
        ({"rules_on": ["NX103"], "rules_off": ["NX103"]}, "asked for and switched off: NX103"),
        ({"seed": "many"}, "seed cannot be 'many'"),
        ({"rtol": "much"}, "rtol cannot be 'much'"),
        ({"colour": "red"}, "no such option: colour"),
    ],
)
def test_nonsense_is_one_error(given: dict[str, Any], told: str, models_dir: Path) -> None:
    with pytest.raises(UsageError, match=told):
        Options().but(**given)
    with pytest.raises(UsageError, match=told):
        normonnx.optimize(models_dir / "conv1d_batchnorm.onnx", **given)


def test_options_and_keywords_together(models_dir: Path) -> None:
    options = Options(target="normonnx", verify=False)
    model = models_dir / "tutorial_dense_layernorm.onnx"
    result = normonnx.optimize(model, options=options, rules_off=["NX101"])
    assert result.report.target == "normonnx"
    assert not any(rewrite.rule == "NX101" for rewrite in result.report.rewrites)
    assert normonnx.inspect(model, options=options).sites


def test_a_plan_keeps_what_decides_the_rewrites() -> None:
    options = Options().but(**OTHERS)
    plan = Plan.of((), options)
    again = Options().but(**plan.asked)
    for name in ("target", "opset", "freeze_initializers", "allow_duplicate", "rules_on"):
        assert getattr(again, name) == getattr(options, name)


def test_it_is_plain_data() -> None:
    options = Options().but(**OTHERS)
    assert msgspec.json.decode(msgspec.json.encode(options), type=Options) == options
    assert options.absolute().custom_ops == (str(Path("lib.so").resolve()),)
    assert options.absolute().data == str(Path("feeds.npz").resolve())


def test_collections_and_numbers_of_other_kinds(models_dir: Path, tmp_path: Path) -> None:
    options = Options(rules_off=["NX101"], providers=["cpu"], custom_ops=[])
    assert options == Options().but(rules_off=("NX101",))
    assert hash(options.rules_off) is not None
    assert Options().but(seed=np.int64(3)).seed == 3
    assert Options().but(rtol=np.float32(0.5)).rtol == 0.5
    assert Options().but(rtol=1, atol={"y": np.float64(0.5)}).atol == {"y": 0.5}
    with pytest.raises(UsageError, match="no such rule"):
        Options(rules_off=["nope"])
    report = normonnx.optimize_many(
        [models_dir / "tutorial_dense_layernorm.onnx"],
        tmp_path,
        options=Options(verify=False),
        target="normonnx",
    )
    assert [model.target for model in report.models] == ["normonnx"]
