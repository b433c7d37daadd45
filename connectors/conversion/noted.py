"""Values of a source that break the rule of their field: dropped with a note where the field is optional.

A bad optional value must not cost the row. The event has null in its place and says so in ``doubtful_fields``; the text
stays in the source, where ``hub connect rejects`` shows it. A declaration that wants such a row set aside says
``strict = true``.
"""

from dataclasses import dataclass
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import Convert
from connectors.conversion.plain import Unreadable
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.values.doubtful import Done, Note, notes_in, text_of
from hub.model.values.kinds import KINDS, Why, broken_rule

DROPPED = frozenset(
    {
        RejectReason.INVALID_VALUE,
        RejectReason.LEADING_ZEROS_LOST,
        RejectReason.TOO_LONG,
        RejectReason.BAD_DATE,
        RejectReason.PARTIAL_DATE,
        RejectReason.BAD_NUMBER,
        RejectReason.BAD_TEXT,
    }
)
"""What is wrong with a value and not with the declaration: a word or a number format that it does not name is a reject
in any field, until somebody names it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A value, None for none, and what is noted of it."""

    value: Any
    notes: tuple[str, ...]


def dropped_of(doubtful: str) -> str:
    """Return the notes of dropped values among the notes of an event, as one text; empty for none."""
    if f" {Done.DROPPED} " not in doubtful:
        return ""
    return text_of(note for note in notes_in(doubtful) if note.done is Done.DROPPED) or ""


def kept_to_rule(spec: FieldSpec, path: str, convert: Convert, pad: int | None = None) -> Convert:
    """Return a conversion whose results keep the field's rule and length; it raises ``Unmappable`` for others.

    Args:
        spec: of the field, or of a member of a list.
        path: the field's name, of a member with the list's before it.
        convert: turns the source's value.
        pad: digits to which a code is filled up with zeros; what was filled up comes with a note.
    """
    rule = KINDS.get(spec.value_kind)
    has_rule = (rule is not None and rule.has_rule) or spec.kind in (FieldKind.DATE, FieldKind.TIMESTAMP)
    if not has_rule and spec.max_length is None and pad is None:
        return convert
    broken, longest = broken_rule(spec.value_kind), spec.max_length
    padded = (str(Note(path, Done.PADDED, Why.LEADING_ZEROS_LOST)),)

    def kept(value: Any) -> Any:
        found = convert(value)
        if found is None:
            return None
        is_short = pad is not None and len(found) < pad
        if is_short:
            found = found.zfill(pad)
        if longest is not None and len(found) > longest:
            raise Unmappable(RejectReason.TOO_LONG)
        problem = broken(found) if has_rule else None
        if problem is not None:
            lost = problem.why is Why.LEADING_ZEROS_LOST
            reason = RejectReason.LEADING_ZEROS_LOST if lost else RejectReason.INVALID_VALUE
            raise Unmappable(reason, f"{path}: {problem.text}", problem.why)
        return Noted(found, padded) if is_short else found

    return kept


def lenient(path: str, convert: Convert) -> Convert:
    """Return a conversion of an optional field: what it cannot turn, or no schema takes, is none, with a note.

    A value that could not even be read (a JSON number of a billion digits) refuses the row: nobody knows what it is.
    """

    def dropped(why: str) -> Noted:
        return Noted(None, (str(Note(path, Done.DROPPED, why)),))

    def kept(value: Any) -> Any:
        if value.__class__ is Unreadable:
            raise Unmappable(value.reason)
        try:
            found = convert(value)
        except Unmappable as problem:
            if problem.reason not in DROPPED:
                raise
            return dropped(problem.why)
        return dropped(RejectReason.BAD_TEXT) if found.__class__ is str and not _is_text(found) else found

    return kept


def _is_text(value: str) -> bool:
    """Tell whether an event can hold a text: no zero character, no half of a pair."""
    if value.isascii():
        return "\0" not in value
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
