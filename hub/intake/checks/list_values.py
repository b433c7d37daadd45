"""The rules of the values inside lists, column-wise: in a list, too, an optional member is dropped, a required refuses.

Lists are JSON text in the frame. A pattern tells which rows may hold a member that breaks its rule; hardly any row
does, and only those are parsed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.values.doubtful import SEPARATOR, Done, Note
from hub.model.values.kinds import KINDS, ValueKind, Why

MENDED, REFUSED, NOTED = "_mended_", "_refused_", "_noted_"
"""Before a list's name: columns with its text as it stands, why its row is refused, what was dropped of it."""

_DTYPES = {
    FieldKind.STRING: pl.String(),
    FieldKind.INT: pl.Int64(),
    FieldKind.LONG: pl.Int64(),
    FieldKind.BOOLEAN: pl.Boolean(),
}


@dataclass(frozen=True, slots=True)
class _Member:
    """One field of a list's records with something to keep.

    Fields:
        breaks: whether a list's text may hold a value that breaks the rule; None: there is no rule.
        is_longer: whether it may hold one that is longer than ``length``; None: it is no text.
        parts: why, the text that says so, and where it does, of a column with the member's values.
    """

    spec: FieldSpec
    breaks: pl.Expr | None
    length: int
    is_longer: pl.Expr | None
    parts: tuple[tuple[Why, str, pl.Expr], ...]

    def looks(self, longest: int) -> list[pl.Expr]:
        """Return what tells the rows to be parsed, where a list's text has so many bytes at most."""
        is_longer = self.is_longer if longest > self.length else None
        return [look for look in (self.breaks, is_longer) if look is not None]


def doubtful_lists(frame: pl.DataFrame, version: SchemaVersion, filled: Collection[str]) -> list[pl.Series]:
    """Return three columns for each list with a value that breaks its rule: ``MENDED``, ``REFUSED``, ``NOTED``.

    Empty for almost every batch.

    Args:
        frame: decoded fields of ``version``.
        version: the schema they were read as.
        filled: columns that are not null throughout.
    """
    members = {name: found for name, found in _members(version).items() if name in filled}
    if frame.is_empty() or not members:
        return []
    longest = frame.select(pl.col(list(members)).str.len_bytes().max()).row(0, named=True)
    looks = {name: [look for one in found for look in one.looks(longest[name])] for name, found in members.items()}
    suspects = frame.select(pl.any_horizontal(some).alias(name) for name, some in looks.items() if some)
    found: list[pl.Series] = []
    for column in suspects.iter_columns():
        if column.any():
            found += _judged(frame[column.name], column.fill_null(value=False), version, members[column.name])
    return found


def _judged(
    texts: pl.Series, suspect: pl.Series, version: SchemaVersion, members: Sequence[_Member]
) -> list[pl.Series]:
    items = version.field(texts.name).items
    shape = pl.List(pl.Struct({item.name: _DTYPES[item.kind] for item in items}))
    suspected = pl.DataFrame({"at": suspect.arg_true(), "list": texts.filter(suspect)})
    values = suspected.with_columns(pl.col("list").str.json_decode(shape)).explode("list").unnest("list")
    whys = values.select(_why(texts.name, member).alias(member.spec.name) for member in members)
    optional = [name for name in whys.columns if next(item for item in items if item.name == name).is_droppable]
    required = [name for name in whys.columns if name not in optional]
    kept = values.with_columns(pl.when(whys[name].is_null()).then(pl.col(name)).alias(name) for name in optional)
    nothing = pl.lit(None, pl.String())
    rows = kept.select(
        "at",
        list=pl.struct(item.name for item in items),
        refused=pl.coalesce([nothing, *(whys[name] for name in required)]),
        noted=pl.concat_list([nothing, *(whys[name] for name in optional)]),
    )
    notes = pl.col("noted").explode().drop_nulls().unique(maintain_order=True)
    lists = (
        rows.group_by("at", maintain_order=True)
        .agg("list", pl.col("refused").drop_nulls().first(), notes)
        .with_columns(pl.col("noted").list.join(SEPARATOR).replace("", None))
    )
    text = pl.struct(j="list").struct.json_encode().str.strip_prefix('{"j":').str.strip_suffix("}")
    none = pl.Series([None], dtype=pl.String).new_from_index(0, len(texts))
    return [
        _with(texts, lists["at"], lists.select(text.alias("text"))["text"]).alias(MENDED + texts.name),
        _with(none, lists["at"], lists["refused"]).alias(REFUSED + texts.name),
        _with(none, lists["at"], lists["noted"]).alias(NOTED + texts.name),
    ]


def _with(column: pl.Series, at: pl.Series, values: pl.Series) -> pl.Series:
    """Return a column with other values at some places."""
    return column.clone().scatter(at, values)


def _why(field: str, member: _Member) -> pl.Expr:
    """Return what is said of a member's values: of an optional one a note, of a required one the refusal's detail."""
    name = f"{field}.{member.spec.name}"
    said = [
        (str(Note(name, Done.DROPPED, why)) if member.spec.is_droppable else f"{name}: {text}", wrong)
        for why, text, wrong in member.parts
    ]
    return pl.coalesce(pl.when(wrong).then(pl.lit(text)) for text, wrong in said)


@cache
def _members(version: SchemaVersion) -> dict[str, tuple[_Member, ...]]:
    found = {spec.name: tuple(filter(None, (_member(spec, item) for item in spec.items))) for spec in version.fields}
    return {name: members for name, members in found.items() if members}


def _member(spec: FieldSpec, item: FieldSpec) -> _Member | None:
    """Return the check of one field of a list's records, None where it keeps no rule and is no text."""
    rule, text, column = KINDS.get(item.value_kind), pl.col(spec.name), pl.col(item.name)
    breaks, parts, length = None, list[tuple[Why, str, pl.Expr]](), item.max_length
    if rule is not None and rule.has_rule:
        breaks = _may_break(text, item.name, rule)
        parts += [(why, said, _wrong(rule, part, column)) for why, part, said in rule.rules()]
    if item.kind is not FieldKind.STRING or length is None:
        return _Member(item, breaks, 0, None, tuple(parts)) if parts else None
    # an escaped character counts for one at least
    is_longer = text.str.contains(rf'"{item.name}": ?"(?:[^"\\]|\\.){{{length + 1}}}')
    parts.append((Why.TOO_LONG, f"longer than {length} characters", column.str.len_chars() > length))
    return _Member(item, breaks, length, is_longer, tuple(parts))


def _wrong(rule: ValueKind, part: str, column: pl.Expr) -> pl.Expr:
    match part:
        case "without_zeros":
            return column.str.contains(rule.without_zeros or "")
        case "pattern":
            return ~column.str.contains(rule.pattern or "")
        case "least":
            return column < rule.least
        case _:
            return column > rule.most


def _may_break(text: pl.Expr, name: str, rule: ValueKind) -> pl.Expr:
    """Return whether a list's JSON text may hold a member whose value breaks the rule; in doubt it may."""
    if rule.pattern is not None:
        # in JSON text a value ends at its quote
        value = rule.pattern.removeprefix("^").removesuffix("$").replace(".*", '[^"]*')
        any_value, good = rf'"{name}": ?"', rf'"{name}": ?"(?:{value})"'
        return text.str.count_matches(any_value) != text.str.count_matches(good)
    digits = range(rule.least or 0, 10 if rule.most is None else rule.most + 1)
    if not set(digits) <= set(range(10)) or (rule.least is None and rule.most is None):
        raise ValueError(f"{name}: no pattern tells values of this kind inside a list")
    wrong = ["-", *(str(digit) for digit in range(10) if digit not in digits)]
    wrong += [] if rule.most is None else ["[0-9]{2}"]
    return text.str.contains(rf'"{name}": ?(?:{"|".join(wrong)})')
