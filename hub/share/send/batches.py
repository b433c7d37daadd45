"""Whole batches of Kafka records, made of columns: the records of a batch are encoded together, not one by one."""

import time
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from hub.codec.columns import BYTES, Pieces, counts, sizes
from hub.share.send.parcel import Parcel

BATCH_BYTES = 256 * 1024
"""Bytes of a batch before it is compressed; a record that is larger than half of it goes alone."""

_NO_SIZE = b"\1"
"""What stands for the size of a key or a value that is null."""


class WholeBatch(BatchBuilder):  # type: ignore[misc]
    """A batch for the producer whose records are encoded already."""

    def __init__(self, records: memoryview, count: int) -> None:
        """Take the records' bytes, and their number."""
        now = int(time.time() * 1000)
        builder = _DefaultRecordBatchBuilderPy(
            2, _DefaultRecordBatchBuilderPy.CODEC_LZ4, True, -1, -1, 0, batch_size=BATCH_BYTES
        )
        builder._buffer.extend(records)
        builder._first_timestamp = builder._max_timestamp = now
        builder._last_offset, builder._num_records = count - 1, count
        self._builder = builder
        self._relative_offset = count
        self._buffer = None
        self._closed = True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)


def batches_of(parcel: Parcel, partitions: pa.Array) -> Iterator[tuple[int, WholeBatch]]:
    """Yield the batches of some records and the partition of each; the order of a partition's records stays."""
    placed = _placed(parcel, partitions)
    order = placed["row"].to_arrow()
    body = Pieces([b"\0\0", counts(placed["turn"].to_arrow())])
    for column in (parcel.keys.take(order), parcel.values.take(order)):
        body.add(sizes(column, b"", _NO_SIZE))
        body.add(pc.fill_null(column, b""))
    body.add(parcel.headers.take(order))
    whole = body.joined(len(order))
    records = pc.binary_join_element_wise(sizes(whole), whole, pa.scalar(b"", BYTES))
    content = memoryview(records.buffers()[2])
    lengths = pl.Series(pc.binary_length(records))
    cuts = (
        placed.with_columns(length=lengths)
        .group_by("partition", "batch", maintain_order=True)
        .agg(pl.col("length").sum(), pl.len().alias("count"))
    )
    begin = 0
    for partition, length, count in cuts.select("partition", "length", "count").iter_rows():
        yield partition, WholeBatch(content[begin : begin + length], count)
        begin += length


def _placed(parcel: Parcel, partitions: pa.Array) -> pl.DataFrame:
    """Return each record's row, its batch within its partition, its turn within the batch; ordered by partition."""
    size = pl.col("size")
    is_large = size > BATCH_BYTES // 2
    frame = pl.LazyFrame({"partition": pl.Series(partitions), "size": pl.Series(parcel.sizes)})
    return (
        frame.with_row_index("row")
        .sort("partition", maintain_order=True)
        .with_columns(
            full=(size.cum_sum().over("partition") - size) // BATCH_BYTES,
            apart=2 * is_large.cum_sum().over("partition") - is_large.cast(pl.Int64),
        )
        .with_columns(batch=pl.struct("full", "apart").rle_id().over("partition"))
        .with_columns(turn=pl.int_range(pl.len(), dtype=pl.Int64).over("partition", "batch"))
        .collect()
    )
