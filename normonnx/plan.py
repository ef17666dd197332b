"""A plan: the rewrites of one run as data, to be reviewed, and made again on a new checkpoint.

Keys name values of the graph, and weights are no part of them: a model that was trained further
and exported in the same way has the same keys. Lines that are taken out of the file are rewrites
that are not made; nothing that is not in it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from normonnx.errors import UsageError
from normonnx.journal import Journal, NearMiss, Rewrite
from normonnx.model_io import write_bytes
from normonnx.options import Asked, Options
from normonnx.rules import RULES

SCHEMA = "normonnx.plan/1"

_TYPES: Mapping[str, tuple[type, ...]] = {
    "target": (str,),
    "opset": (int, type(None)),
    "freeze_initializers": (bool,),
    "allow_duplicate": (bool,),
    "rules_on": (list,),
    "sizes": (dict,),
    "input_shapes": (dict,),
    "model": (str,),
}
"""What each entry of the file but the rewrites is."""

_GONE = "the model has no such site"


class Planned(Struct, frozen=True):
    """One rewrite that is to be made.

    Attributes:
        key: names it, see `journal.Rewrite`.
        rule: code of its rule.
        site: the node it is about.
        summary: one line, such as ``Conv·BatchNormalization → Conv``.
    """

    key: str
    rule: str
    site: str
    summary: str


class Plan(Struct, frozen=True):
    """Rewrites to make, and under which options they were found.

    Attributes:
        rewrites: in the order they were made.
        target: whose operators are written.
        opset: the highest opset the result may have, None for no cap.
        freeze_initializers: see `Options`.
        allow_duplicate: see `Options`.
        rules_on: codes of rules that are off by default.
        sizes: see `Options`.
        input_shapes: see `Options`.
        model: the name of the model it was made on.
    """

    rewrites: tuple[Planned, ...]
    target: str = "onnx"
    opset: int | None = None
    freeze_initializers: bool = False
    allow_duplicate: bool = False
    rules_on: tuple[str, ...] = ()
    sizes: Mapping[str, int] = {}
    input_shapes: Mapping[str, Sequence[int]] = {}
    model: str = ""

    @classmethod
    def of(cls, rewrites: Iterable[Rewrite], options: Options, *, model: str = "") -> Plan:
        """The plan to make these rewrites again."""
        return cls(
            tuple(Planned(r.key, r.rule, r.site, r.summary) for r in rewrites),
            options.target,
            options.opset,
            options.freeze_initializers,
            options.allow_duplicate,
            tuple(sorted(options.rules_on)),
            options.sizes,
            options.input_shapes,
            model,
        )

    @property
    def keys(self) -> frozenset[str]:
        """Of all its rewrites."""
        return frozenset(planned.key for planned in self.rewrites)

    @property
    def asked(self) -> Asked:
        """What of the options decides which rewrites there are."""
        return {
            "target": self.target,
            "opset": self.opset,
            "freeze_initializers": self.freeze_initializers,
            "allow_duplicate": self.allow_duplicate,
            "rules_on": self.rules_on,
            "rules_off": (),
            "sizes": self.sizes,
            "input_shapes": self.input_shapes,
        }

    def unfit(self, journal: Journal) -> tuple[NearMiss, ...]:
        """What of the plan a run did not make, and why.

        What depends on the numbers of the model, such as initializers that are equal by chance, is
        not missed on another checkpoint.
        """
        made = {rewrite.key for rewrite in journal.rewrites}
        found = []
        for planned in self.rewrites:
            rule = RULES.get(planned.rule)
            if planned.key in made or (rule is not None and rule.by_content):
                continue
            near = journal.near_misses.get(planned.key)
            found.append(
                NearMiss(
                    planned.key,
                    planned.rule,
                    planned.site,
                    near.kind if near is not None else planned.summary,
                    _GONE if near is None else near.reason,
                    "" if near is None else near.remedy,
                )
            )
        return tuple(found)

    def to_json(self) -> str:
        """The plan as a file to review: a line per rewrite."""
        data = to_builtins(self)
        rewrites = [json.dumps(entry) for entry in data.pop("rewrites")]
        head = json.dumps({"schema": SCHEMA, **data}, indent=2).removesuffix("\n}")
        body = ",\n    ".join(rewrites)
        return f'{head},\n  "rewrites": [\n    {body}\n  ]\n}}\n'

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file.

        Raises:
            WriteError: the system refused.
        """
        write_bytes(Path(os.path.abspath(path)), self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read it from a file.

        Raises:
            UsageError: there is no such file, or it is not a plan.
        """
        try:
            return _plan(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"cannot read the plan {str(path)!r}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            why = str(error)
            if isinstance(error, json.JSONDecodeError):
                why = f"line {error.lineno} is not JSON"
            elif isinstance(error, UnicodeDecodeError | RecursionError):
                why = "it is not JSON"
            raise UsageError(
                f"{str(path)!r} is not a plan: {why}",
                hint="normonnx optimize MODEL --dry-run --plan FILE writes one",
            ) from error


def _plan(data: Any) -> Plan:
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA!r}")
    entries = data.pop("rewrites", None)
    if not isinstance(entries, list):
        raise ValueError("it has no list of rewrites")
    for name, value in data.items():
        if name not in _TYPES or not isinstance(value, _TYPES[name]):
            raise ValueError(f"the entry {name!r} is unknown or of the wrong type")
    data["rules_on"] = tuple(map(str, data.get("rules_on", ())))
    return Plan(tuple(map(_planned, entries)), **data)


def _planned(entry: Any) -> Planned:
    names = Planned.__struct_fields__
    if not isinstance(entry, dict) or sorted(entry) != sorted(names):
        raise ValueError(f"a rewrite has {', '.join(names)}")
    if not all(isinstance(value, str) for value in entry.values()):
        raise ValueError("what a rewrite has is text")
    return Planned(**entry)
