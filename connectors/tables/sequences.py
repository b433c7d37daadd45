"""The sequence that gives a column its numbers, from PostgreSQL's catalogue.

A session may take numbers ahead: by the sequence's cache, or because a program uses up an increment itself. Such
numbers are not in the order in which rows are written.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Connection, text

_OF_COLUMN = text(
    """WITH wanted AS (
         SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column
       ), named AS (
         SELECT dep.refobjid AS sequence FROM wanted
         JOIN pg_attrdef def ON def.adrelid = attrelid AND def.adnum = attnum
         JOIN pg_depend dep ON dep.classid = 'pg_attrdef'::regclass AND dep.objid = def.oid
          AND dep.refclassid = 'pg_class'::regclass
         UNION
         SELECT dep.objid FROM wanted
         JOIN pg_depend dep ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = attrelid
          AND dep.refobjsubid = attnum AND dep.classid = 'pg_class'::regclass AND dep.deptype IN ('a', 'i')
       )
       SELECT seqrelid::regclass::text, seqcache, seqincrement FROM named JOIN pg_sequence ON seqrelid = sequence
       ORDER BY seqcache DESC, seqincrement DESC LIMIT 1"""
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A sequence: how many numbers a session takes at once, and the step between two numbers."""

    name: str
    cache: int
    increment: int

    @property
    def are_in_order(self) -> bool:
        """Tell whether a row that is written later has a higher number."""
        return self.cache == 1 and self.increment == 1


def numbers_of(connection: Connection, column: Column[object]) -> Numbers | None:
    """Return the sequence behind a PostgreSQL column, by its default, identity or owner; None if it has none."""
    quote = connection.dialect.identifier_preparer
    name = quote.format_table(column.table)
    found = connection.execute(_OF_COLUMN, {"table": name, "column": column.name}).one_or_none()
    return None if found is None else Numbers(str(found[0]), int(found[1]), int(found[2]))
