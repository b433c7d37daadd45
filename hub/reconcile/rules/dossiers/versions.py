"""All versions of dossiers' progress that sources sent: the claims, and those that were replaced or came late."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, select, union_all

from hub.model.entities import DOSSIER
from hub.warehouse.tables.entities import AspectTables, aspect_tables


def progress_tables() -> AspectTables:
    """Return the tables of dossiers' progress."""
    return aspect_tables(DOSSIER.aspect("progress").subject)


def submission_tables() -> AspectTables:
    """Return the tables of dossiers' filing."""
    return aspect_tables(DOSSIER.aspect("submission").subject)


def accepted_versions(
    keys: FromClause, names: Sequence[str], of_holder: bool, beside: Sequence[ColumnElement[Any]] = ()
) -> FromClause:
    """Return every accepted version of the progress of some dossiers, one row each.

    Args:
        keys: dossiers, column ``key``, each once.
        names: columns to return in addition to key, source, source_epoch, source_version and revoked.
        of_holder: only versions of the source that holds the record.
        beside: columns of ``keys`` to return as well.
    """
    tables = progress_tables()
    branches = []
    for said in (tables.claim, tables.history):
        assert said is not None  # noqa: S101 - the aspect is declared with a history
        wanted = [said.c[name] for name in ("key", "source", "source_epoch", "source_version", "revoked", *names)]
        rows: Select[tuple[object, ...]] = select(*wanted, *beside).join_from(keys, said, said.c.key == keys.c.key)
        if of_holder:
            record = tables.record
            rows = rows.join(record, and_(record.c.key == said.c.key, record.c.source == said.c.source))
        branches.append(rows)
    return union_all(*branches).subquery("said")


def in_order(said: FromClause) -> list[ColumnElement[int]]:
    """Order a source's versions, oldest first."""
    return [said.c.source_epoch, said.c.source_version]


def newest_first(said: FromClause) -> list[ColumnElement[int]]:
    """Order a source's versions, newest first."""
    return [said.c.source_epoch.desc(), said.c.source_version.desc()]
