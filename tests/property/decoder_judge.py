"""Judge cases of the decoder's differential fuzz; as a program, judge a range of seeds, one line per seed.

It is a process of its own because a damaged batch may take the block path's process with it; that is what the guard
is for.
"""

import io
import resource
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import fastavro

from hub.codec.catalogue import SchemaVersion
from hub.codec.wire import HEADER_BYTES, unframe
from hub.intake.decode import batch as decode_batch_module
from hub.intake.decode.batch import Phase, decode_batch
from hub.intake.decode.decoded import Decoded
from hub.intake.decode.nodes import physical_schema, record_node
from hub.intake.decode.row_path import DatumReader
from tests.property.decoder_cases import Case, case

_MEMORY = 1 << 30


def differences(made: Case, by_block: Decoded, by_row: Decoded) -> list[str]:
    """Return what is wrong with how a case was decoded; nothing, when all is well."""
    wrong: list[str] = []
    if by_block.poison != by_row.poison:
        wrong.append(f"the paths differ in poison: {by_block.poison} {by_row.poison}")
    if by_block.frame.schema != by_row.frame.schema:
        wrong.append("the paths differ in columns")
    elif not by_block.frame.equals(by_row.frame):
        wrong.append("the paths differ in values")
    poison = [found.row for found in by_block.poison]
    if sorted([*by_block.frame["row"].to_list(), *poison]) != list(range(len(made.values))):
        wrong.append("not every record came back once")
    untouched = by_block.frame.filter(by_block.frame["row"].is_in(list(made.expected)))
    rows = {row["row"]: row for row in untouched.to_dicts()}
    wrong += [f"record {row} was touched" for row in made.expected if rows.get(row) != made.expected[row]]
    return wrong


def doubtful_readings(made: Case, decoded: Decoded) -> list[str]:
    """Return the damaged records that were accepted with other values than fastavro reads in them."""
    wrong = []
    for row in decoded.frame["row"].to_list():
        value = made.values[row]
        if row in made.expected or value is None:
            continue
        schema_id, datum = unframe(value)
        version = made.catalogue.by_id(schema_id)
        if version is None:
            wrong.append(f"record {row} was accepted without a schema")
            continue
        reader, schema = _readers(version)
        stream = io.BytesIO(datum)
        other: Any = fastavro.schemaless_reader(stream, schema)
        mine, _ = reader.read(value, HEADER_BYTES)
        if repr(list(other.values())) != repr(mine) or stream.tell() != len(datum):
            wrong.append(f"record {row} reads otherwise with fastavro")
    return wrong


@cache
def _readers(version: SchemaVersion) -> tuple[DatumReader, Any]:
    node = record_node(version.schema)
    return DatumReader(node), fastavro.parse_schema(physical_schema(node, []))


def judge(seed: int) -> list[str]:
    """Decode the case of a seed both ways; return what is wrong.

    Half of the cases cut blocks in doubt down to a single record, so that the block path meets more of the damaged
    ones.
    """
    made = case(seed)
    thorough = seed % 2 == 0
    decode_batch_module.ROW_PATH_BELOW = 1 if thorough else 32
    decode_batch_module.CUTS_PER_BATCH = decode_batch_module.DOUBTS_PER_BATCH = 1000 if thorough else seed % 5
    decoded = [
        decode_batch(made.subject, made.values, _no_mark, blocks=blocks, catalogue=made.catalogue)
        for blocks in (True, False)
    ]
    return differences(made, *decoded) + doubtful_readings(made, decoded[1])


def _no_mark(phase: Phase, number: int) -> None:
    """Nobody watches."""


def main(arguments: Sequence[str]) -> None:
    """Judge the seeds from the first argument up to the second."""
    first, end = map(int, arguments)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    for seed in range(first, end):
        wrong = "; ".join(judge(seed)).replace("\n", " ")
        sys.stdout.write(f"{seed} {wrong}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
