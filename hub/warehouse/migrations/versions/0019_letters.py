"""Conflicts about how a text is written, and not about what it says, are closed: composed letters, place of tones."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from hub.warehouse.equal_texts import values_differ
from hub.warehouse.tables.core import action, conflict
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables, whole_claim

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Close them; the table ``action`` says how many, of which fields."""
    connection = op.get_bind()
    asked = sa.select(conflict.c.aspect, conflict.c.field).where(conflict.c.closed_at.is_(None)).distinct()
    found = {(row.aspect, row.field) for row in connection.execute(asked)}
    closed: dict[str, int] = {}
    for tables in all_aspect_tables():
        for field in tables.data:
            if (tables.name, field.name) in found:
                count = connection.execute(_closing(tables, field)).rowcount
                closed |= {f"{tables.name}.{field.name}": count} if count else {}
    if closed:
        purpose = "the sources agree: composed and decomposed letters are equal, and in names the place of a tone"
        connection.execute(
            sa.insert(action).values(
                actor="hub db migrate", action="conflicts.close_equal_letters", purpose=purpose, detail=closed
            )
        )


def _closing(tables: AspectTables, field: Any) -> sa.Update:
    """Close the open conflicts of a field in which the two claims say the same."""
    held, rival = whole_claim(tables, "held"), whole_claim(tables, "rival")
    of_one = sa.and_(*(held.c[name] == rival.c[name] for name in tables.identity))
    parts = [sa.cast(held.c[name], sa.Text) for name in tables.aspect.part]
    part = sa.func.concat_ws("|", *parts) if parts else sa.literal("", sa.Text)
    differ = values_differ(field, held.c[field.name], rival.c[field.name], field.name in tables.aspect.names)
    equal = (
        sa.select(held.c["key"], part.label("part"), held.c["source"].label("held"), rival.c["source"].label("rival"))
        .select_from(held.source)
        .join(rival.source, of_one)
        .where(sa.not_(differ))
        .subquery()
    )
    return (
        sa.update(conflict)
        .values(closed_at=sa.func.now())
        .where(conflict.c.aspect == tables.name, conflict.c.field == field.name, conflict.c.closed_at.is_(None))
        .where(conflict.c.key == equal.c.key, conflict.c.part == equal.c.part)
        .where(conflict.c.held_by == equal.c.held, conflict.c.source == equal.c.rival)
    )
