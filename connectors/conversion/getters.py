"""How to get a value out of a source's row: a column, several columns joined, a path inside a JSON document."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from operator import itemgetter
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import moment_or_none
from connectors.conversion.json_text import parsed
from connectors.conversion.plain import folded, plain
from connectors.conversion.truth import meaning, truth
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
    if deleted.values:
        return _deletion_by_words(deleted, place)

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

    return is_deleted


def _deletion_by_words(deleted: Deleted, place: int) -> Callable[[Row], bool]:
    """Return the function that looks a row's word up among the declared ones.

    A word of the closed list counts as the declared words of its meaning do (`t` and true as a declared `"1"`). No
    value means that the row is not deleted. Any other word raises ``Unmappable``.
    """
    said = {folded(word): False for word in deleted.alive} | {folded(word): True for word in deleted.values}
    of_meaning = {means: _verdict(said, means) for means in (True, False)}

    def is_listed(row: Row) -> bool:
        text = plain(row[place])
        if text is None:
            return False
        found = said.get(folded(text))
        if found is None:
            means = meaning(text)
            found = None if means is None else of_meaning[means]
        if found is None:
            raise Unmappable(RejectReason.UNMAPPED_WORD)
        return found

    return is_listed


def _verdict(said: Mapping[str, bool], means: bool) -> bool | None:
    """Return whether words of the closed list that mean ``means`` delete a row; None: the declaration does not say."""
    same, opposite = ({said[word] for word in said if meaning(word) is one} for one in (means, not means))
    if same:
        return same.pop() if len(same) == 1 else None
    return None if opposite == {False} else False


def payload_of(value: Any) -> Mapping[str, Any]:
    """Return the payload of an outbox row, an object; raises ``Unmappable`` for anything else."""
    given = parsed(value, RejectReason.BAD_PAYLOAD) if isinstance(value, str | bytes) else value
    if not isinstance(given, Mapping):
        raise Unmappable(RejectReason.BAD_PAYLOAD)
    return given
