"""Keep an SQLite table in step with a record topic of the hub. docs/consume.md says why each step is as it is.

python consumer.py BROKERS REGISTRY TOPIC CODE_FIELD FILE
python consumer.py localhost:9092 http://localhost:8081 hub.dossier.record.v1 dossier_code dossiers.db

It needs kafka-python, lz4 and fastavro. It may be stopped at any moment, and started again on the same file.
"""

import io
import json
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import fastavro
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

TABLES = """
CREATE TABLE IF NOT EXISTS record (
    key BLOB PRIMARY KEY, code TEXT, revision INTEGER, fields TEXT, published_at TEXT, hub_position TEXT
);
CREATE TABLE IF NOT EXISTS position (partition INTEGER PRIMARY KEY, next INTEGER, read_at REAL);
"""
PUT = """
INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (key) DO UPDATE SET code = ?2, revision = ?3, fields = ?4, published_at = ?5,
hub_position = CASE WHEN ?6 = '' AND revision = ?3 THEN hub_position ELSE ?6 END
"""
AWAY_S = 20 * 3600  # Kafka keeps a tombstone for a day: who was away for longer may have missed one, and begins anew.

WAIT_S = 5


def follow(brokers: str, registry: str, topic: str, code: str, file: str) -> None:
    """Read for ever; rows and positions move together, so that neither is ahead of the other after a crash."""
    table, schemas = sqlite3.connect(file), {}
    table.executescript(TABLES)
    consumer = KafkaConsumer(
        bootstrap_servers=brokers.split(","),
        isolation_level="read_committed",  # not the default of most clients
        enable_auto_commit=False,  # the position is kept beside the rows, in one transaction
        auto_offset_reset="none",
    )
    while not (numbers := consumer.partitions_for_topic(topic)):
        sys.stderr.write(f"waits: {brokers} has no topic {topic!r}; is its name right?\n")
        time.sleep(WAIT_S)
    partitions = [TopicPartition(topic, number) for number in numbers]
    consumer.assign(partitions)
    seek(consumer, partitions, table)
    while True:
        polled = consumer.poll(timeout_ms=500)
        with table:
            for record in (record for records in polled.values() for record in records):
                if record.value is None:  # a tombstone: only the key is left, and the row still knows the code
                    table.execute("DELETE FROM record WHERE key = ?", [record.key])
                    continue
                fields = decode(record.value, registry, schemas)
                headers = dict(record.headers)
                # hub.position: the event that changed the record last, for `hub trace`; absent after a repetition
                told = [headers.get(name, b"").decode() for name in ("hub.published_at", "hub.position")]
                row = [record.key, fields[code], fields["revision"], json.dumps(fields, default=as_text), *told]
                table.execute(PUT, row)
            places = [(one.partition, consumer.position(one), time.time()) for one in partitions]
            table.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", places)


def seek(consumer: KafkaConsumer, partitions: list[TopicPartition], table: sqlite3.Connection) -> None:
    """Go on where the table stands; or from the beginning with an empty one, if it cannot know what it missed."""
    kept = {row[0]: row[1:] for row in table.execute("SELECT partition, next, read_at FROM position")}
    ends, oldest = consumer.end_offsets(partitions), time.time() - AWAY_S
    places = [(one, *kept.get(one.partition, (-1, 0))) for one in partitions]
    if all(0 <= place <= ends[one] and read_at > oldest for one, place, read_at in places):
        for one, place, _ in places:
            consumer.seek(one, place)
        return
    with table:
        table.execute("DELETE FROM record")
        table.execute("DELETE FROM position")
    consumer.seek_to_beginning(*partitions)


def decode(value: bytes, registry: str, schemas: dict[int, Any]) -> dict[str, Any]:
    """Decode by the schema that the value was written with: byte 0, four bytes of its id, Avro."""
    number = int.from_bytes(value[1:5], "big")
    if number not in schemas:
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:  # noqa: S310 - told
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[number])


def as_text(value: Any) -> str:
    """Give keys and times, which JSON does not know, a text."""
    return value.hex() if isinstance(value, bytes) else value.isoformat()


if __name__ == "__main__":
    try:
        follow(*sys.argv[1:])
    except urllib.error.URLError as error:
        sys.exit(f"the registry {sys.argv[2]} gives no schema: {error}. Start again when it does")
    except KafkaError as error:
        sys.exit(f"the brokers {sys.argv[1]} do not answer, or refuse: {error}. Start again when they do")
