"""Small wrong changes to a Python module, each one a mutant that some test must notice.

Text is left alone: docstrings, messages, titles, sources, names of operands. A string is changed only where the code
compares it, holds it as a value of a mapping, or publishes it as a tier or a kind of interval. The sizes of caches are
left alone too: they change no result.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

__all__ = ["Mutant", "mutants"]

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_COMPARISON: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OTHER_CALL = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "exp": "expm1",
    "expm1": "exp",
    "log": "log1p",
    "log1p": "log",
}
_DROPPED_CALLS = ("abs", "sorted")
_PUBLISHED_WORDS = ("interval", "tier")

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Mutant:
    """One change. `lines` are those of the smallest statement around it; `key` stays when lines above it move."""

    path: str
    line: int
    lines: range
    scope: str
    change: str
    node_index: int
    replacement: ast.AST
    occurrence: int

    @property
    def key(self) -> str:
        again = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.path} {self.scope}: {self.change}{again}"

    def tree(self, source: str) -> ast.Module:
        """The module with the change in it."""
        module = ast.parse(source)
        target = list(ast.walk(module))[self.node_index]
        _Replace(target, self.replacement).visit(module)
        return ast.fix_missing_locations(module)


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(self._replacement, node) if node is self._target else self.generic_visit(node)


def mutants(path: str, source: str) -> list[Mutant]:
    """Every mutant of the module, in the order of its lines."""
    module = ast.parse(source)
    index_by_node = {node: index for index, node in enumerate(ast.walk(module))}
    found: list[Mutant] = []
    seen: dict[tuple[str, str], int] = {}
    for site in _sites(module, _Site(module, None, module, "module")):
        for replacement in _replacements(site):
            change = " -> ".join(_excerpts(_shown(site, site.node), _shown(site, replacement)))
            seen[site.scope, change] = seen.get((site.scope, change), 0) + 1
            line = getattr(site.node, "lineno", site.lines.start)
            index, again = index_by_node[site.node], seen[site.scope, change]
            found.append(Mutant(path, line, site.lines, site.scope, change, index, replacement, again))
    return sorted(found, key=lambda mutant: mutant.line)


@dataclass(frozen=True)
class _Site:
    node: ast.AST
    parent: _Site | None
    statement: ast.stmt | ast.Module
    scope: str
    field: str = ""

    @property
    def lines(self) -> range:
        """The lines of the statement, for a compound one without its body."""
        if isinstance(self.statement, ast.Module):
            return range(1, 2)
        body: list[ast.stmt] = getattr(self.statement, "body", [])
        last = body[0].lineno - 1 if body else self.statement.end_lineno or self.statement.lineno
        return range(self.statement.lineno, max(last, self.statement.lineno) + 1)


def _sites(node: ast.AST, here: _Site) -> Iterator[_Site]:
    for field, child in _children(node):
        statement = child if isinstance(child, ast.stmt) else here.statement
        scope = here.scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = child.name if scope == "module" else f"{scope}.{child.name}"
        site = _Site(child, here, statement, scope, field)
        yield site
        yield from _sites(child, site)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "bases") or _is_names(node, field):
            continue
        children = cast("list[object]", value) if isinstance(value, list) else [value]
        yield from ((field, child) for child in children if isinstance(child, ast.AST) and not _is_left_alone(child))


def _is_names(node: ast.AST, field: str) -> bool:
    """`__all__`, `__slots__` and aliases of types hold names."""
    if not isinstance(node, ast.Assign) or field != "value":
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    is_type = isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name)
    return any(name in ("__all__", "__slots__") or (is_type and name[0].isupper()) for name in names)


def _is_left_alone(node: ast.AST) -> bool:
    is_docstring = (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    is_cache_size = isinstance(node, ast.keyword) and node.arg == "maxsize"
    return is_docstring or is_cache_size or isinstance(node, ast.JoinedStr)


def _replacements(site: _Site) -> Iterator[ast.AST]:
    node = site.node
    if site.field in ("test", "ifs") and isinstance(node, ast.expr):
        yield from _opposite_condition(node)
    if isinstance(node, ast.Constant):
        yield from (ast.Constant(other) for other in _other_constants(node.value, site))
    elif isinstance(node, ast.expr):
        yield from _other_expressions(node)
    else:
        yield from _other_statements(node)


def _opposite_condition(node: ast.expr) -> Iterator[ast.AST]:
    """Comparisons and `not` have opposites of their own."""
    if not isinstance(node, ast.Compare | ast.UnaryOp | ast.Constant):
        yield ast.UnaryOp(ast.Not(), node)


def _other_expressions(node: ast.expr) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp() if not (_is_string(node.left) or _is_string(node.right)):
            yield _with(node, op=_ARITHMETIC[type(node.op)]())
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for other in _COMPARISON[type(operator)]:
                    yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
        case ast.Call():
            yield from _other_calls(node)
        case _:
            return


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.AugAssign():
            yield _with(node, op=_ARITHMETIC[type(node.op)]())
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Expr() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case _:
            return


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    match node.func:
        case ast.Name(id=name) if name in _OTHER_CALL:
            yield _with(node, func=ast.Name(_OTHER_CALL[name], ast.Load()))
        case ast.Attribute(attr=name) if name in _OTHER_CALL:
            yield _with(node, func=_with(node.func, attr=_OTHER_CALL[name]))
        case ast.Name(id=name) if name in _DROPPED_CALLS:
            yield node.args[0]
        case _:
            return


def _other_constants(value: object, site: _Site) -> Iterator[bool | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value + 1, value * 1.01 or 0.01)
    elif isinstance(value, str) and _is_behaviour(site):
        yield f"other_{value}"


def _is_behaviour(site: _Site) -> bool:
    parent = site.parent
    if isinstance(site.node, ast.Constant) and not str(site.node.value).isidentifier():
        return False
    while parent is not None and isinstance(parent.node, ast.IfExp):
        site, parent = parent, parent.parent
    match parent.node if parent is not None else None:
        case ast.Compare():
            return True
        case ast.Dict():
            return site.field == "values"
        case ast.keyword(arg=name):
            return name in _PUBLISHED_WORDS
        case _:
            return False


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _with(node: Node, **fields: object) -> Node:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _shown(site: _Site, node: ast.AST) -> str:
    """The node as code; a constant with what stands around it, where that is short."""
    around = site.parent.node if site.parent is not None else None
    text = ast.unparse(node)
    if isinstance(site.node, ast.Constant) and isinstance(around, ast.expr | ast.keyword):
        copies: dict[int, ast.AST] = {}
        around_copy = copy.deepcopy(around, copies)
        whole = ast.unparse(_Replace(copies[id(site.node)], node).visit(around_copy))
        text = whole if len(whole) <= 80 else text
    return text


def _excerpts(before: str, after: str) -> tuple[str, str]:
    """Both texts, where they are long only around the place where they begin to differ."""
    same = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, same - 60) if max(len(before), len(after)) > 160 else 0
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int) -> str:
    end = start + 160
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
