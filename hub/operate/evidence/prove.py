"""Write the proof of one event: its audit row, the path from its leaf to a signed head, and the head.

``hub.operate.evidence.check`` checks it on a machine that has nothing else.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, cast, select
from sqlalchemy.types import Text

from hub.model.errors import HubError
from hub.model.evidence import CHUNK, FIELDS, Head
from hub.operate.evidence.check import BUNDLE
from hub.operate.evidence.heads import SignedHead, stored_heads
from hub.operate.evidence.verify import seals_from
from hub.warehouse.evidence.find import rows_naming, sought
from hub.warehouse.evidence.rows import RELEASE_CHAIN, Chain, Rows, leaf_at, parts_of, place_at, read_rows
from hub.warehouse.tables.core import audit, batch, log_partition, outcome_type, release, source
from hub.warehouse.tables.evidence import head


class NotProvableError(HubError):
    """The event cannot be proven: it is not known, or no signed head covers it yet."""

    code = "NOT_PROVABLE"


def prove(connection: Connection, event_id: UUID) -> dict[str, Any]:
    """Return the bundle of an event, as JSON values: one proof for each of its rows, releases included.

    Raises:
        NotProvableError: no row names it, or its newest row is in no signed head yet.
    """
    rows = connection.execute(rows_naming(audit.c.event_id), sought([event_id])).mappings().all()
    if not rows:
        raise NotProvableError(f"no audit row names the event {event_id}")
    proofs = []
    for row in rows:
        log = connection.execute(select(log_partition).where(log_partition.c.id == row["log"])).one()
        proofs.append(
            _proof(connection, Chain(log.chain or f"{log.topic}/{log.partition}", "audit", log.id), row["log_offset"])
        )
        same = (release.c.log == row["log"], release.c.log_offset == row["log_offset"])
        for number in connection.execute(select(release.c.id).where(*same)).scalars():
            proofs.append(_proof(connection, RELEASE_CHAIN, number))
    return {"format": BUNDLE, "event_id": str(event_id), "proofs": proofs}


def _proof(connection: Connection, chain: Chain, place: int) -> dict[str, Any]:
    following = connection.execute(seals_from(chain.name, place)).all()
    signed = _covering_head(connection, following[0].id) if following else None
    if signed is None:
        raise NotProvableError(
            f"{chain.name}/{place} is in no signed head yet: a worker signs every HUB_EVIDENCE_EVERY_S seconds"
        )
    end = next(of.end for of in Head.parse(signed.document).chains if of.chain == chain.name)
    of_place, *others = [row for row in following if row.end_place <= end]
    rows = read_rows(connection, chain, of_place.first_place, of_place.end_place)
    return {
        "relation": chain.relation,
        "chain": chain.name,
        "place": place,
        "row": _row(connection, chain, place),
        **_way_to_root(connection, rows, place),
        "previous": bytes(of_place.previous).hex(),
        "stretches": [_stretch(row) for row in (of_place, *others)],
        "head": {
            "document": signed.document,
            "signature": signed.signature.hex(),
            "public_key": signed.public_key.hex(),
        },
    }


def _covering_head(connection: Connection, seal_id: int) -> SignedHead | None:
    first = select(head.c.number).where(head.c.last_seal >= seal_id).order_by(head.c.number).limit(1)
    number = connection.execute(first).scalar_one_or_none()
    return None if number is None else stored_heads(connection, number)[0]


def _stretch(row: Any) -> dict[str, Any]:
    return {
        "first": row.first_place,
        "end": row.end_place,
        "rows": row.rows,
        "root": bytes(row.root).hex(),
        "marks_digest": bytes(row.marks_digest).hex(),
    }


def _way_to_root(connection: Connection, rows: Rows, place: int) -> dict[str, Any]:
    """Return the path to the root: the leaves next to the row's, the nodes next to theirs, the parts next to that."""
    parts = parts_of(connection, rows)
    part_number = next(at for at, part in enumerate(parts) if part.first <= place <= part.last)
    part, before = parts[part_number], sum(one.rows for one in parts[:part_number])
    at = next(row for row in range(before, before + part.rows) if place_at(rows.placed, row) == place)
    node = (at - before) // CHUNK
    chunk = range(before + node * CHUNK, min(before + part.rows, before + (node + 1) * CHUNK))
    return {
        "leaves": [[place_at(rows.placed, row), leaf_at(rows.placed, row).hex()] for row in chunk],
        "node": node,
        "nodes": [one.hex() for one in part.nodes],
        "part": {"batch": part.batch, "first": part.first, "last": part.last, "rows": part.rows},
        "batch_row": _batch_row(connection, part.batch),
        "parts": [one.digest.hex() for one in parts],
        "part_number": part_number,
    }


def _row(connection: Connection, chain: Chain, place: int) -> dict[str, Any]:
    of = release if chain is RELEASE_CHAIN else audit
    columns = [_plain(of.c[name]) for name in FIELDS[chain.relation]]
    where = [of.c.id == place] if chain is RELEASE_CHAIN else [of.c.log == chain.log, of.c.log_offset == place]
    query: Select[Any] = (
        select(*columns, source.c.code.label("source_code"))
        .join_from(of, source, source.c.id == of.c.source, isouter=True)
        .where(*where)
    )
    return {name: _json(value) for name, value in connection.execute(query).mappings().one().items()}


def _plain(column: Any) -> Any:
    return cast(column, Text).label(column.name) if column.type is outcome_type else column


def _batch_row(connection: Connection, number: int) -> dict[str, Any]:
    columns = [batch.c[name] for name in FIELDS["batch"]]
    row = connection.execute(select(*columns).where(batch.c.id == number)).mappings().one()
    return {name: _json(value) for name, value in row.items()}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
