"""The tree stays one in which a newcomer finds the way: small rooms that say their job, parameters with names."""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[3]
SOURCES = sorted([*(ROOT / "hub").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])
MOST_MODULES = 20
MOST_LINES_OF_A_FUNCTION = 36
"""Without its docstring: a command's is its help text."""
HISTORY = ROOT / "hub" / "warehouse" / "migrations" / "versions"
"""Grows by one with every change of the tables."""


def test_no_room_holds_more_modules_than_a_reader_can_keep_in_mind() -> None:
    counts = Counter(path.parent for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")] if path.parent != HISTORY)
    assert {str(room.relative_to(ROOT)): count for room, count in counts.items() if count > MOST_MODULES} == {}


def test_each_room_says_its_job() -> None:
    rooms = {path.parent for path in SOURCES}
    silent = [room for room in rooms if not ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8")))]
    assert silent == []


def test_parameters_say_what_they_are() -> None:
    riddles = [
        f"{path.relative_to(ROOT)}:{argument.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.arg == "of"
    ]
    assert riddles == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("hub", "connectors", cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    told = function.body[0] if ast.get_docstring(function) else None
    return _length(function) - (_length(told) if told else 0)


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
