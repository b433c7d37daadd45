"""A list field of an event: from rows of a child table, or from a list inside JSON, to a list of records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import Convert
from connectors.conversion.getters import Get, column_getter, digger
from connectors.conversion.json_text import parsed
from connectors.conversion.noted import Noted
from connectors.declared.declaration import FieldRule, Word, child_columns
from hub.codec.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class _Member:
    """How one member of each record is filled."""

    name: str
    path: str
    get: Get
    convert: Convert
    default: Word | None
    required: bool

    def value(self, given: Any, notes: list[str]) -> Any:
        """Return the member's value, None for none; its notes are added to ``notes``. Raises ``Unmappable``."""
        try:
            value = self.convert(self.get(given))
        except Unmappable as problem:
            raise Unmappable(problem.reason, problem.field or self.path) from None
        if value.__class__ is Noted:
            notes += value.notes
            return value.value
        value = self.default if value is None else value
        if value is None and self.required:
            raise Unmappable(RejectReason.REQUIRED_MISSING, self.path)
        return value


def list_converter(rule: FieldRule, spec: FieldSpec, convert_of: Callable[[FieldRule, FieldSpec], Convert]) -> Convert:
    """Return what converts a list, or a single record, as ``Noted`` if values of its members are noted.

    Args:
        rule: of the list, with the rules of its members.
        spec: the list's field.
        convert_of: makes what converts a member's value.
    """
    items = {item.name: item for item in spec.items}
    index = {name: place for place, name in enumerate(child_columns(rule))} if rule.child else None
    members = [
        _Member(
            item.field,
            f"{rule.field}.{item.field}",
            digger(item.paths, item.join) if item.paths else column_getter(item, index or {}),
            convert_of(item, items[item.field]),
            item.default,
            not items[item.field].nullable,
        )
        for item in rule.items
    ]

    def record(given: Any, notes: list[str]) -> dict[str, Any]:
        if index is None and not isinstance(given, Mapping):
            raise Unmappable(RejectReason.BAD_LIST)
        return {member.name: member.value(given, notes) for member in members}

    def convert_list(value: Any) -> Any:
        given = value
        if isinstance(value, str | bytes):
            given = parsed(value, RejectReason.BAD_LIST) if value.strip() else None
        if given is None or given == [] or given == {}:
            return None
        notes: list[str] = []
        if not spec.is_array:
            found: Any = record(given, notes)
        elif isinstance(given, list | tuple):
            found = [record(one, notes) for one in given]
        else:
            raise Unmappable(RejectReason.BAD_LIST)
        return Noted(found, tuple(dict.fromkeys(notes))) if notes else found

    return convert_list
