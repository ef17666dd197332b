"""Mutants: small faults of the code itself, each a node of a syntax tree in the place of another.

What no test can see is left alone: annotations, docstrings, whatever is said to people, assertions,
decorators, limits that only cost time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_SILENT = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.arg)
_SAID = re.compile(r"Refusal|Flaw|\w+Error|default_rng|cast|field|getLogger|miss")
"""Calls whose arguments are for people, for type checkers, or a seed."""
_COSTS_TIME = re.compile(r"(?i)\w*(max|most|limit|memo|cache|widely|bytes|__slots__|__all__)\w*")
_KEYWORDS = frozenset({"strict", "maxsize", "frozen", "slots", "kw_only", "errstate", "reason"})
_TEXT = (ast.JoinedStr, ast.Tuple, ast.List, ast.Dict, ast.Set)


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        file: the module's, relative to the root of the repository.
        lines: first and last of what is changed.
        owner: qualified name of the outermost function around it; "" at the level of the module.
        before: the code.
        after: the code in its place.
        place: where the node is in a walk over the tree.
        choice: which of its alternatives.
    """

    file: str
    lines: tuple[int, int]
    owner: str
    before: str
    after: str
    place: int
    choice: int

    @property
    def key(self) -> str:
        return f"{self.file}:{self.place}:{self.choice}"

    @property
    def room(self) -> str:
        return self.file.split("/")[1]

    def code(self, root: Path) -> CodeType:
        """The module with the fault in it, compiled with the line numbers of the original."""
        path = root / self.file
        tree = ast.parse(path.read_text())
        target = list(ast.walk(tree))[self.place]
        new = _alternatives(target)[self.choice]
        _Exchange(target, ast.copy_location(new, target)).visit(tree)
        return compile(ast.fix_missing_locations(tree), str(path), "exec")


class _Exchange(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    """The faults that a module can have."""
    tree = ast.parse(path.read_text())
    places = {id(node): place for place, node in enumerate(ast.walk(tree))}
    for node, owner in _nodes(tree, "", ""):
        for choice, new in enumerate(_alternatives(node)):
            first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
            if isinstance(node, (ast.If, ast.While)):
                last = node.test.end_lineno or first
            yield Mutant(
                str(path.relative_to(root)), (first, last), owner, _shown(node), _shown(new),
                places[id(node)], choice,
            )  # fmt: skip


def function_in(module: CodeType, owner: str) -> list[CodeType]:
    """The code of a function or method in that of its module, one for each definition."""
    found = [const for const in module.co_consts if isinstance(const, CodeType)]
    own = [code for code in found if code.co_qualname == owner]
    inner = [code for code in found if owner.startswith(f"{code.co_qualname}.")]
    return own + [match for code in inner for match in function_in(code, owner)]


def _nodes(node: ast.AST, prefix: str, owner: str) -> Iterator[tuple[ast.AST, str]]:
    """The nodes that may be changed, each with the outermost function around it."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner = owner or f"{prefix}{node.name}"
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            yield from _nodes(default, prefix, owner)
        for child in node.body:
            yield from _nodes(child, prefix, inner)
        return
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            yield from _nodes(child, f"{prefix}{node.name}.", owner)
        return
    if _is_left_alone(node):
        return
    yield node, owner
    for name, value in ast.iter_fields(node):
        if name == "annotation":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child, prefix, owner)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, _SILENT):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.keyword):
        return node.arg in _KEYWORDS
    if isinstance(node, ast.Call):
        return bool(_SAID.fullmatch(ast.unparse(node.func).rpartition(".")[2]))
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(_COSTS_TIME.fullmatch(ast.unparse(target)) for target in targets)
    if isinstance(node, ast.Compare):
        return any(_COSTS_TIME.fullmatch(n.id) for n in ast.walk(node) if isinstance(n, ast.Name))
    return False


def _alternatives(node: ast.AST) -> list[ast.AST]:
    """What may stand in the place of a node."""
    match node:
        case ast.Compare(left, ops, others):
            return [
                ast.Compare(left, [*ops[:i], _COMPARISONS[type(op)](), *ops[i + 1 :]], others)
                for i, op in enumerate(ops)
            ]
        case ast.BoolOp(op, values):
            return [ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)]
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return [operand]
        case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
            is_text = any(isinstance(side, _TEXT) or _is_text(side) for side in (left, right))
            return [] if is_text else [ast.BinOp(left, _ARITHMETIC[type(op)](), right)]
        case ast.AugAssign(target, op, value) if type(op) in _ARITHMETIC:
            return [ast.AugAssign(target, _ARITHMETIC[type(op)](), value)]
        case ast.Constant(bool() as value):
            return [ast.Constant(not value)]
        case ast.Constant(int() as value):
            return [ast.Constant(value + 1)]
        case ast.Constant(float() as value):
            return [ast.Constant(value * 1000 if 0 < value < 0.01 else value + 1)]
        case ast.If(test, body, orelse) if _is_plain(test):
            return [ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)]
        case ast.IfExp(test, body, orelse) if _is_plain(test):
            return [ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)]
        case ast.Expr(ast.Call()):
            return [ast.Pass()]
        case ast.Continue():
            return [ast.Break()]
    return []


def _is_plain(test: ast.expr) -> bool:
    """Whether a condition has no operator of its own that would be changed."""
    return isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.NamedExpr))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    return ast.unparse(ast.fix_missing_locations(node))
