"""Avro types as the decoder sees them: a small tree with resolved names, from which both decode paths are built.

Both paths read the same *physical* types, so they can differ only in how they walk the bytes. An enum is read as its
index, a date or timestamp as its number, a uuid as its 16 bytes. ``hub.intake.decode.logical`` gives physical values
their meaning, once, for both paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

PRIMITIVES = {
    "boolean": pl.Boolean(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "string": pl.String(),
}
"""Avro's primitive types that the hub's schemas may use, and the column types into which they are read."""


@dataclass(frozen=True, slots=True)
class Node:
    """One type of a schema.

    Fields:
        kind: a primitive's name, ``fixed``, ``enum``, ``array`` or ``record``.
        null_branch: the index of null in the union; None if the type is not nullable.
    """

    kind: str
    logical: str | None = None
    null_branch: int | None = None
    size: int = 0
    symbols: tuple[str, ...] = ()
    enum_default: str | None = None
    items: "Node | None" = None
    fields: tuple["Field", ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; ``default`` is meaningful only if ``has_default``."""

    name: str
    node: Node
    aliases: tuple[str, ...]
    has_default: bool
    default: Any


def record_node(schema: Mapping[str, Any]) -> Node:
    """Return the tree of a record schema.

    Raises:
        ValueError: the schema uses a type that the decoder does not read: map, bytes, float, or a union that is not
            null and one other type.
    """
    return _Resolver().node(schema, "")


class _Resolver:
    """Walks a schema in document order, so that a name is defined before it is used."""

    def __init__(self) -> None:
        self._named: dict[str, Node] = {}

    def node(self, schema: Any, namespace: str) -> Node:
        if isinstance(schema, list):
            return self._union(schema, namespace)
        if isinstance(schema, str):
            if schema in PRIMITIVES:
                return Node(schema)
            found = self._named.get(schema) or self._named.get(f"{namespace}.{schema}")
            if found is None:
                raise ValueError(f"the decoder does not read Avro type {schema!r}")
            return found
        kind = schema["type"]
        if kind in PRIMITIVES:
            return Node(kind, logical=schema.get("logicalType"))
        if kind == "array":
            return Node("array", items=self.node(schema["items"], namespace))
        if kind in {"fixed", "enum", "record"}:
            return self._define(schema, namespace)
        return self.node(kind, namespace)

    def _define(self, schema: Mapping[str, Any], namespace: str) -> Node:
        namespace = schema.get("namespace", namespace)
        name = schema["name"]
        full = name if "." in name else f"{namespace}.{name}"
        kind = schema["type"]
        if kind == "fixed":
            node = Node("fixed", logical=schema.get("logicalType"), size=schema["size"])
        elif kind == "enum":
            node = Node("enum", symbols=tuple(schema["symbols"]), enum_default=schema.get("default"))
        else:
            inner = full.rpartition(".")[0]
            node = Node("record", fields=tuple(self._field(field, inner) for field in schema["fields"]))
        self._named[full] = node
        return node

    def _field(self, field: Mapping[str, Any], namespace: str) -> Field:
        return Field(
            field["name"],
            self.node(field["type"], namespace),
            tuple(field.get("aliases", ())),
            "default" in field,
            field.get("default"),
        )

    def _union(self, branches: list[Any], namespace: str) -> Node:
        if len(branches) != 2 or branches.count("null") != 1:
            raise ValueError("the decoder reads unions of null and one other type only")
        null_branch = branches.index("null")
        inner = self.node(branches[1 - null_branch], namespace)
        return Node(
            inner.kind,
            inner.logical,
            null_branch,
            inner.size,
            inner.symbols,
            inner.enum_default,
            inner.items,
            inner.fields,
        )


def physical_dtype(node: Node) -> pl.DataType:
    """Return the column type of a node's physical values."""
    if node.kind in PRIMITIVES:
        return PRIMITIVES[node.kind]
    if node.kind == "fixed":
        return pl.Binary()
    if node.kind == "enum":
        return pl.Int32()
    if node.kind == "array":
        return pl.List(physical_dtype(_items(node)))
    return pl.Struct({field.name: physical_dtype(field.node) for field in node.fields})


def physical_schema(node: Node, names: list[str]) -> Any:
    """Return the Avro schema that reads a node's bytes as physical values.

    Args:
        node: the type.
        names: the names given to named types so far. Each definition adds one, so that none is defined twice.
    """
    inner: Any
    if node.kind in PRIMITIVES:
        inner = node.kind
    elif node.kind == "enum":
        inner = "int"
    elif node.kind == "array":
        inner = {"type": "array", "items": physical_schema(_items(node), names)}
    else:
        names.append(f"t{len(names)}")
        inner = {"type": node.kind, "name": names[-1]}
        if node.kind == "fixed":
            inner["size"] = node.size
        else:
            inner["fields"] = [{"name": f.name, "type": physical_schema(f.node, names)} for f in node.fields]
    if node.null_branch is None:
        return inner
    return ["null", inner] if node.null_branch == 0 else [inner, "null"]


def _items(node: Node) -> Node:
    if node.items is None:
        raise ValueError("an array has items")
    return node.items
