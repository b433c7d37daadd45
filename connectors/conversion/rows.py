"""One row to one record: slower than by columns, but it tells what is wrong with the row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connectors.base.port import Record
from connectors.base.reasons import UNFORESEEN, RejectReason, Unmappable
from connectors.conversion.mapping import RowMapper
from hub.codec.encode import Encoder
from hub.model.errors import PoisonError
from hub.model.values.doubtful import DOUBTFUL
from hub.topology import MAX_RECORD_BYTES


class Made(NamedTuple):
    """What a row became; ``doubtful``: what its event says of values that broke their rule, empty for nothing."""

    record: Record
    event_id: bytes
    doubtful: str


def record_of_row(
    mapper: RowMapper, encoder: Encoder, row: Sequence[Any], now: datetime, version: int | None = None
) -> Made:
    """Encode one row.

    Args:
        mapper: of the row's stream.
        encoder: of its subject.
        row: as ``SourceTable`` gives it, child rows included.
        now: becomes ``recorded_at``.
        version: the event's version, if it is not the row's own.

    Raises:
        Unmappable: with the reason, and the field that failed.
    """
    event = mapper.event(row, now)
    if version is not None:
        event["source_version"] = version
        event["event_id"] = mapper.event_id(row, version, event["operation"])
    try:
        value = encoder.encode(event)
        key = encoder.key(event)
    except PoisonError as problem:
        raise Unmappable(RejectReason.NOT_ENCODABLE, problem.detail) from None
    except UNFORESEEN:
        raise Unmappable(RejectReason.BAD_VALUE) from None
    if len(value) > MAX_RECORD_BYTES:
        raise Unmappable(RejectReason.TOO_LARGE)
    return Made((key, value), event["event_id"], event.get(DOUBTFUL) or "")
