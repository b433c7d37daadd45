"""An event's values as the hub took them: without those that it dropped; for screens, one event at a time."""

from collections.abc import Iterable, Mapping
from typing import Any

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.values.doubtful import Done, Note
from hub.model.values.kinds import broken_rule


def without_dropped(values: Mapping[str, Any], notes: Iterable[Note], version: SchemaVersion) -> dict[str, Any]:
    """Return the values with null in place of each that was dropped.

    Args:
        values: of an event, by field, as the log holds them.
        notes: what was noted when it was taken.
        version: the schema of its subject whose rules held then.
    """
    kept = dict(values)
    for note in notes:
        if note.done is not Done.DROPPED:
            continue
        name, _, member = note.field.partition(".")
        if not member:
            kept[name] = None
        elif isinstance(kept.get(name), list):
            spec = next((item for item in version.field(name).items if item.name == member), None)
            kept[name] = [_without(item, spec) for item in kept[name]] if spec else kept[name]
    return kept


def _without(item: Mapping[str, Any], spec: FieldSpec) -> dict[str, Any]:
    value = item.get(spec.name)
    is_long = spec.kind is FieldKind.STRING and spec.max_length is not None and len(value or "") > spec.max_length
    is_broken = value is not None and (is_long or broken_rule(spec.value_kind)(value) is not None)
    return {**item, spec.name: None} if is_broken else dict(item)
