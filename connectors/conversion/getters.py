"""How to get a value out of a source's row: a column, several columns joined, a path inside a JSON document."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from operator import itemgetter
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import moment_or_none
from connectors.conversion.json_text import parsed
from connectors.conversion.plain import folded, plain
from connectors.conversion.truth import truth
from connectors.declared.declaration import Deleted, FieldRule

Row = Sequence[Any]
Get = Callable[[Any], Any]


def column_getter(rule: FieldRule, index: Mapping[str, int]) -> Get:
    """Return the function that reads a field's column or columns, or its constant."""
    if rule.constant is not None:
        constant = rule.constant
        return lambda row: constant
    places = [index[name] for name in rule.columns]
    if len(places) == 1:
        return itemgetter(places[0])
    join = rule.join

    def joined(row: Row) -> str:
        values = [row[place] for place in places]
        # most values are text, and a function call for each of them is the main cost here
        texts = [value.strip() if value.__class__ is str else plain(value) for value in values]
        return join.join([text for text in texts if text])

    return joined


def digger(paths: Sequence[Sequence[str]], join: str, last: bool = False) -> Get:
    """Return the function that reads paths in an object; ``last``: the object is the row's last element (payload)."""

    def dig(given: Any, path: Sequence[str]) -> Any:
        for name in path:
            if not isinstance(given, Mapping):
                return None
            given = given.get(name)
        return given

    if len(paths) == 1 and len(paths[0]) == 1:
        name = paths[0][0]
        return (lambda row: row[-1].get(name)) if last else (lambda given: given.get(name))
    if len(paths) == 1:
        path = paths[0]
        return (lambda row: dig(row[-1], path)) if last else (lambda given: dig(given, path))

    def joined(given: Any) -> str:
        root = given[-1] if last else given
        return join.join([text for path in paths if (text := plain(dig(root, path)))])

    return joined


def deletion(deleted: Deleted, place: int, zone: tzinfo) -> Callable[[Row], bool]:
    """Return the function that tells whether the source deleted a row; the column holds true, a word, or the time.

    That function raises ``Unmappable`` for a word that is neither declared nor in the closed list.
    """
    values = frozenset(folded(value) for value in deleted.values)

    def is_listed(row: Row) -> bool:
        text = plain(row[place])
        return text is not None and folded(text) in values

    def is_deleted(row: Row) -> bool:
        value = row[place]
        if isinstance(value, date):
            return True
        try:
            return bool(truth(value))
        except Unmappable:
            if isinstance(value, str) and moment_or_none(value, zone) is not None:
                return True
            raise

    return is_listed if values else is_deleted


def payload_of(value: Any) -> Mapping[str, Any]:
    """Return the payload of an outbox row, an object; raises ``Unmappable`` for anything else."""
    given = parsed(value, RejectReason.BAD_PAYLOAD) if isinstance(value, str | bytes) else value
    if not isinstance(given, Mapping):
        raise Unmappable(RejectReason.BAD_PAYLOAD)
    return given
