"""What a user may ask of a run: one record for the API, the command line, plans, fleets and passes.

`Options` is the record. `Asked` names the same fields as keyword arguments of the functions that
take them; a test holds both against each other and against the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias, TypedDict

from msgspec import Struct, ValidationError, convert, field, structs
from msgspec.structs import force_setattr

from normonnx.errors import UsageError
from normonnx.rules import RULES
from normonnx.targets import NAMES

PathLike: TypeAlias = "str | os.PathLike[str]"


class Options(Struct, frozen=True, kw_only=True):
    """What is asked of a run.

    Attributes:
        target: whose operators may be written: "onnx", "ort" or "normonnx".
        opset: the highest default-domain opset the result may have; None for as far as is needed
            and pays.
        freeze_initializers: take initializers that are also inputs, which a caller could override,
            for constants.
        allow_duplicate: copy a layer, or a weight, that others read too, to fold into the copy.
        rules_on: codes of rules to use that are off by default.
        rules_off: codes of rules not to use.
        sizes: of open dimensions of the inputs, by name; they are set for good.
        input_shapes: of inputs, by name, as `sizes`.
        simplify: whether to shorten the rest of the graph too: constants, sizes, nodes that do
            nothing, or that nobody reads.
        verify: whether to judge the result against the original.
        providers: what to judge on, of "cpu" and "cuda".
        seed: of the generated feeds.
        data: feeds to judge on instead: an .npz or .npy file, or a directory in the layout of
            ONNX's tests.
        rtol: judge by a fixed relative tolerance instead of the distance to the float64 truth, all
            outputs, or by name.
        atol: as `rtol`, absolute.
        custom_ops: files of libraries with the model's own operators, for ONNX Runtime.
        untrusted: refuse data files reached through links, and run ONNX Runtime in processes of
            its own.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.
    """

    target: str = "onnx"
    opset: int | None = None
    freeze_initializers: bool = False
    allow_duplicate: bool = False
    rules_on: frozenset[str] = frozenset()
    rules_off: frozenset[str] = frozenset()
    sizes: dict[str, int] = field(default_factory=dict)
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    simplify: bool = True
    verify: bool = True
    providers: tuple[str, ...] = ("cpu",)
    seed: int = 0
    data: str | None = None
    rtol: float | dict[str, float] | None = None
    atol: float | dict[str, float] | None = None
    custom_ops: tuple[str, ...] = ()
    untrusted: bool = False
    allow_data_dir: tuple[str, ...] = ()
    allow_hardlinks: bool = False

    def __post_init__(self) -> None:
        """Take any collections, and refuse what makes no sense.

        Raises:
            UsageError: something does not.
        """
        for name, kind in _COLLECTIONS.items():
            force_setattr(self, name, kind(getattr(self, name)))
        if self.target not in NAMES:
            raise UsageError(
                f"no such target: {self.target!r}", hint=f"choose from {', '.join(NAMES)}"
            )
        if self.opset is not None and self.opset < 1:
            raise UsageError(f"no such opset: {self.opset}")
        shapes = {**{name: (size,) for name, size in self.sizes.items()}, **self.input_shapes}
        for name, shape in shapes.items():
            if any(size < 1 for size in shape):
                raise UsageError(f"no such size of '{name}': {', '.join(map(str, shape))}")
        for code in sorted(self.rules_on | self.rules_off):
            if code not in RULES:
                raise UsageError(f"no such rule: {code!r}", hint=f"choose from {', '.join(RULES)}")
        if both := self.rules_on & self.rules_off:
            raise UsageError(f"asked for and switched off: {', '.join(sorted(both))}")

    def but(self, **asked: Any) -> Options:
        """The same with some fields as they are asked for, of the types of `Asked`.

        Raises:
            UsageError: there is no such field, it makes no sense, or is of another type.
        """
        if unknown := [name for name in asked if name not in _FIELDS]:
            raise UsageError(f"no such option: {', '.join(unknown)}")
        plain = {name: _plain(value) for name, value in asked.items()}
        try:
            return convert({**structs.asdict(self), **plain}, Options)
        except ValidationError as error:
            name = next((n for n in asked if f"`$.{n}" in str(error)), "an option")
            raise UsageError(f"{name} cannot be {asked.get(name)!r}") from error

    def absolute(self) -> Options:
        """The same for whoever works in another directory."""
        return structs.replace(
            self,
            custom_ops=tuple(map(os.path.abspath, self.custom_ops)),
            data=None if self.data is None else os.path.abspath(self.data),
            allow_data_dir=tuple(map(os.path.abspath, self.allow_data_dir)),
        )


_COLLECTIONS: Mapping[str, Callable[[Any], Any]] = {
    "rules_on": frozenset,
    "rules_off": frozenset,
    "providers": tuple,
    "custom_ops": lambda paths: tuple(map(os.fspath, paths)),
    "allow_data_dir": lambda paths: tuple(map(os.fspath, paths)),
}


class Asked(TypedDict, total=False):
    """The fields of `Options` as keyword arguments."""

    target: str
    opset: int | None
    freeze_initializers: bool
    allow_duplicate: bool
    rules_on: Iterable[str]
    rules_off: Iterable[str]
    sizes: Mapping[str, int]
    input_shapes: Mapping[str, Iterable[int]]
    simplify: bool
    verify: bool
    providers: Iterable[str]
    seed: int
    data: str | os.PathLike[str] | None
    rtol: float | Mapping[str, float] | None
    atol: float | Mapping[str, float] | None
    custom_ops: Iterable[PathLike]
    untrusted: bool
    allow_data_dir: Iterable[PathLike]
    allow_hardlinks: bool


_FIELDS = frozenset(Options.__struct_fields__)


def _plain(value: Any) -> Any:
    """A value as the record keeps it: NumPy's numbers and paths in plain types, and lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
