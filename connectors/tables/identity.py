"""Which table a position belongs to: a table that was dropped and recreated, or swapped by rename, is another one.

Rows of the new table may have been written by older transactions, or carry older times, than what was read before. So
a position names the table, and each poll checks that it is still the same; if not, the whole table is read again. The
same holds for the child tables: their rows have no time of their own. So a child table that was empty and has rows is a
reason, too: it may have been emptied, and loaded after the poll.

- PostgreSQL: the oid of the relation, of its partitions and inheriting tables, and of what a view reads, each with its
  file. A new file alone (from TRUNCATE, but also from VACUUM FULL and CLUSTER) means another table only if no older row
  is left in it.
- SQLite: the file, and the number that rises with every change of its schema.
- MariaDB and MySQL: when the table and each of its partitions was created, to the second. On MariaDB, if the reader has
  the right PROCESS, also InnoDB's number of the table, which TRUNCATE raises.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, Text, cast, inspect, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from connectors.base.port import JsonValue
from connectors.faults import translated
from connectors.tables.shape import Shape

IDENTITY = "identity"
_MADE, _PARTS, _HORIZON = "made", "parts", "horizon"
_CHILDREN, _IS_EMPTY = "children", "is_empty"
_ROUND = 2**32
_SOON = 2**20
_TABLE_KINDS = ("r", "p", "m")
"""Kinds of relations whose rows show the transaction that wrote them."""

_POSTGRESQL = text(
    """WITH RECURSIVE root AS (SELECT to_regclass(:table)::oid AS oid), part(oid) AS (
         SELECT oid FROM root
         UNION
         SELECT next.oid FROM part CROSS JOIN LATERAL (
           SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = part.oid
           UNION ALL
           SELECT d.refobjid FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid
           JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
           WHERE v.oid = part.oid AND v.relkind = 'v'
         ) AS next
       )
       SELECT c.oid::bigint, c.relfilenode::bigint, c.oid = (SELECT oid FROM root),
              CASE WHEN c.relkind = 'v' THEN 'definition ' || md5(pg_get_viewdef(c.oid)) ELSE c.relkind::text END,
              pg_snapshot_xmin(pg_current_snapshot())::text::bigint
       FROM part JOIN pg_class c ON c.oid = part.oid WHERE c.relkind <> 'S' ORDER BY 1"""
)
_MYSQL = text(
    """SELECT '', CAST(create_time AS CHAR) FROM information_schema.tables
       WHERE table_schema = coalesce(:schema, database()) AND table_name = :table
       UNION ALL
       SELECT partition_name, CAST(create_time AS CHAR) FROM information_schema.partitions
       WHERE table_schema = coalesce(:schema, database()) AND table_name = :table AND partition_name IS NOT NULL
       ORDER BY 1"""
)

_INNODB = text(
    """SELECT concat('id ', table_id) FROM information_schema.innodb_sys_tables
       WHERE name = concat(coalesce(:schema, database()), '/', :table)
          OR name LIKE concat(replace(concat(coalesce(:schema, database()), '/', :table), '_', '\\_'), '#%')
       ORDER BY name"""
)

Identity = Mapping[str, JsonValue]
"""``made``: what identifies the table. ``parts``: on PostgreSQL, the file of each relation behind it, by oid.

``children``: the same of each child table, by its name, and whether it is empty.
"""


def identity_of(shape: Shape) -> Identity:
    """Return the identity of a stream's table and of its child tables now; empty if its database does not tell."""
    with translated(shape.what), shape.engine.connect() as connection:
        asked = _ASKED.get(connection.dialect.name)
        if asked is None:
            return {}
        now = dict(asked(connection, shape.table))
        if shape.child_tables:
            now[_CHILDREN] = {table.fullname: _of_child(connection, table, asked) for table in shape.child_tables}
        return now


def _of_child(connection: Connection, table: Table, asked: "_Asked") -> dict[str, JsonValue]:
    now = dict(asked(connection, table))
    # a view may take long to say whether it has rows
    is_empty = not _is_view(connection, table, now) and not _has_any(connection, table)
    return {**now, _IS_EMPTY: is_empty}


def same_names(kept: object, now: Identity) -> bool:
    """Tell whether everything that identifies the table is unchanged; the horizon is only the moment of the look."""
    if not isinstance(kept, Mapping) or any(kept.get(name) != now.get(name) for name in (_MADE, _PARTS, _IS_EMPTY)):
        return False
    before, children = _mapping(kept.get(_CHILDREN)), _mapping(now.get(_CHILDREN))
    return before.keys() == children.keys() and all(same_names(before[name], children[name]) for name in children)


def why_another(shape: Shape, kept: object, now: Identity, read_below: int | None = None) -> str | None:
    """Return why the table is not the one of a position, or has rows that it did not have; None if it is the same.

    A child table that the position does not know yet is no reason.

    Args:
        shape: the table, with its child tables.
        kept: the identity in the position; anything that is not an identity counts as none.
        now: its identity now.
        read_below: the transaction below which all rows were read, if rows are read by their transaction.
    """
    if not isinstance(kept, Mapping) or same_names(kept, now):
        return None
    before, children = _mapping(kept.get(_CHILDREN)), _mapping(now.get(_CHILDREN))
    with translated(shape.what), shape.engine.connect() as connection:
        if why := _why_another(connection, shape.table, kept, now, read_below):
            return f"the table {why}"
        for table in shape.child_tables:
            if table.fullname not in before:
                continue
            was, is_now = before[table.fullname], children[table.fullname]
            if why := _why_another(connection, table, was, is_now, None):
                return f"child table {table.fullname} {why}"
            if was[_IS_EMPTY] and not is_now[_IS_EMPTY]:
                return f"child table {table.fullname} was empty and has rows"
    return None


def _why_another(
    connection: Connection, table: Table, kept: Mapping[str, Any], now: Identity, read_below: int | None
) -> str | None:
    if kept.get(_MADE) != now.get(_MADE):
        return "was recreated, swapped or altered"
    before, parts = _mapping(kept.get(_PARTS)), _mapping(now.get(_PARTS))
    is_view = bool(parts) and _kind(now) not in _TABLE_KINDS
    for oid, file in parts.items():
        if oid not in before:
            if is_view or _has_rows(connection, table, oid, now, read_below):
                return "got a partition attached that has rows"
        elif file != before[oid] and (is_view or not _has_rows(connection, table, oid, now, kept[_HORIZON])):
            return "was emptied or rewritten"
    return None


def stepped_back_now(why: str) -> dict[str, JsonValue]:
    """Return what a position says of a table that is read again from its beginning."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "read_again": f"the whole table: {why}"}


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _kind(identity: Identity) -> str:
    """Return the kind of a relation of PostgreSQL, a letter; of a view, ``definition``."""
    return str(identity[_MADE]).partition(" ")[2].partition(",")[0]


def _is_view(connection: Connection, table: Table, now: Identity) -> bool:
    """Tell whether a relation is a view, or something else whose rows are reckoned."""
    if connection.dialect.name == "postgresql":
        return _kind(now) not in _TABLE_KINDS
    return table.name in inspect(connection).get_view_names(schema=table.schema)


def _has_any(connection: Connection, table: Table) -> bool:
    return connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None


def _has_rows(connection: Connection, table: Table, oid: str, now: Identity, written_below: Any) -> bool:
    """Tell whether a part has rows written by transactions below ``written_below``; None: any rows."""
    where = [cast(literal_column("tableoid"), BigInteger) == int(oid)]
    if isinstance(written_below, int):
        # what is not surely newer counts as older: ids of 32 bits wrap around
        age = (cast(cast(literal_column("xmin"), Text), BigInteger) - written_below % _ROUND + _ROUND) % _ROUND
        horizon = now[_HORIZON]
        where.append(age >= max(int(str(horizon)) - written_below, 0) + _SOON)
    rows = select(literal(1)).select_from(table).where(*where).limit(1)
    return connection.execute(rows).first() is not None


def _of_postgresql(connection: Connection, table: Table) -> Identity:
    name = connection.dialect.identifier_preparer.format_table(table)
    rows = connection.execute(_POSTGRESQL, {"table": name}).all()
    made = next((f"{oid} {kind}" for oid, _, is_root, kind, _ in rows if is_root), "")
    others = sorted(f"{oid} {kind}" for oid, _, is_root, kind, _ in rows if not is_root and len(kind) > 1)
    parts: dict[str, JsonValue] = {str(oid): int(file) for oid, file, *_ in rows}
    return {_MADE: ", ".join([made, *others]), _PARTS: parts, _HORIZON: int(rows[0][-1]) if rows else 0}


def _of_sqlite(connection: Connection, table: Table) -> Identity:
    schema = connection.execute(text("PRAGMA main.schema_version")).scalar()
    databases = {name: path for _, name, path in connection.execute(text("PRAGMA database_list"))}
    file = str(databases.get("main") or "")
    inode = Path(file).stat().st_ino if file and Path(file).exists() else 0
    return {_MADE: f"file {inode}, schema {schema}"}


def _of_mysql(connection: Connection, table: Table) -> Identity:
    values = {"schema": table.schema, "table": table.name}
    made = [f"{name or 'table'} {at}" for name, at in connection.execute(_MYSQL, values)]
    try:
        made += map(str, connection.execute(_INNODB, values).scalars())
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        # without the right PROCESS, the times above are all there is
    return {_MADE: ", ".join(made)}


_Asked = Callable[[Connection, Table], Identity]
_ASKED: dict[str, _Asked] = {
    "postgresql": _of_postgresql,
    "sqlite": _of_sqlite,
    "mysql": _of_mysql,
    "mariadb": _of_mysql,
}
