"""What a database guarantees of a key: which unique index or primary key covers it, which columns are never null.

Only what holds for every row of a select of the table counts. These do not count: a partial or invalid index; one with
a finer equality than the column's own (a collation that ignores case); an index of a parent whose children have their
own.
"""

import warnings
from collections.abc import Collection, Sequence

from sqlalchemy import INTEGER, Connection, Inspector, Table, inspect, text

_PG_UNIQUE = text(
    """SELECT i.indexrelid::regclass::text
       FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
       CROSS JOIN LATERAL (
         SELECT array_agg(a.attname::text) AS names,
                bool_or(NOT own.collisdeterministic AND own.oid <> by_index.oid) AS is_finer
         FROM unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS k(number, coll, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
         LEFT JOIN pg_collation own ON own.oid = a.attcollation
         LEFT JOIN pg_collation by_index ON by_index.oid = k.coll
         WHERE k.place <= i.indnkeyatts
       ) AS own_columns
       WHERE i.indrelid = to_regclass(:table) AND t.relkind IN ('r', 'p', 'm') AND i.indisunique AND i.indisvalid
         AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL
         AND own_columns.names <@ CAST(:key AS text[]) AND own_columns.is_finer IS NOT TRUE
         AND NOT (t.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = t.oid))
       ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1"""
)
_PG_NEVER_NULL = text(
    """SELECT a.attname::text FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
       WHERE a.attrelid = to_regclass(:table) AND a.attnotnull AND a.attnum > 0 AND t.relkind IN ('r', 'p', 'm')
         AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
                         AND c.conkey = ARRAY[a.attnum] AND NOT c.convalidated)"""
)


def unique_by(connection: Connection, table: Table, key: Sequence[str]) -> str | None:
    """Return the name of what keeps the key unique; None if no constraint or index does."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        found = connection.execute(_PG_UNIQUE, {"table": name, "key": list(key)}).scalar()
        return str(found) if found else None
    if dialect == "sqlite":
        # any other index may compare differently from the column, and its key may be null
        return "the row id" if _is_row_id(table, key) else None
    return _reflected_unique(connection, table, set(key))


def never_null(connection: Connection, table: Table, key: Sequence[str]) -> set[str]:
    """Return the key columns in which no row can have a null."""
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        return set(connection.execute(_PG_NEVER_NULL, {"table": name}).scalars()) & set(key)
    if connection.dialect.name == "sqlite" and _is_row_id(table, key):
        return set(key)
    return {column for column in key if not table.c[column].nullable}


def _is_row_id(table: Table, key: Sequence[str]) -> bool:
    names = [column.name for column in table.primary_key.columns]
    return names == list(key) and type(table.c[names[0]].type) is INTEGER


def _reflected_unique(connection: Connection, table: Table, key: Collection[str]) -> str | None:
    inspector = inspect(connection)
    with warnings.catch_warnings():
        # a type that SQLAlchemy does not know does not matter for a key's proof
        warnings.filterwarnings("ignore", message="Did not recognize type")
        return _unique_of(inspector, table, key)


def _unique_of(inspector: Inspector, table: Table, key: Collection[str]) -> str | None:
    primary = inspector.get_pk_constraint(table.name, table.schema)
    if primary["constrained_columns"] and set(primary["constrained_columns"]) <= set(key):
        return str(primary["name"] or "the primary key")
    for index in inspector.get_indexes(table.name, table.schema):
        names = index["column_names"]
        is_partial = any("where" in option for option in index.get("dialect_options", {}))
        is_plain = bool(names) and None not in names and not index.get("expressions") and not is_partial
        if index["unique"] and is_plain and {str(name) for name in names} <= set(key):
            return str(index["name"])
    return None
