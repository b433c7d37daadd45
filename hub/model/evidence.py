"""Hashes and chains of evidence, as an auditor recomputes them: standard library only (docs/evidence.md).

A *leaf* is the SHA-256 of one row in PostgreSQL's binary form of a record (``record_send``); a text before it
names the table. Up to ``CHUNK`` rows, each with its place, make a *node*. The nodes of one batch's rows make a *part*,
together with the digest of the batch's own row. The parts between two places of a chain make a *root*. A *link*
connects a root with
the link before it. The links at the ends of all chains are signed together: a *head*.

All hashes are SHA-256; numbers are big-endian; each kind of hash begins with its own byte.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

CHUNK = 256
"""Rows of a node."""

DIGEST_BYTES = 32
MARK_BYTES = 4
NO_LINK = bytes(DIGEST_BYTES)
"""The first link of a chain follows this value."""

RELEASES = "(releases)"
ACTIONS = "(actions)"
"""The chains that do not belong to a log partition; the others are called ``topic/partition``."""

AUDIT_FIELDS: Mapping[str, str] = {
    "batch": "int8",
    "outcome": "text",
    "source": "int2",
    "source_epoch": "int4",
    "source_version": "int8",
    "content_hash": "int8",
    "occurred_at": "timestamptz",
    "key": "uuid",
    "event_id": "uuid",
    "reason": "text",
    "detail": "text",
    "flags": "int4",
    "recorded_at": "timestamptz",
}
"""What a leaf of the audit log covers, in this order; the node covers the row's place."""

RELEASE_FIELDS: Mapping[str, str] = {"log": "int2", "log_offset": "int8", **AUDIT_FIELDS}
ACTION_FIELDS: Mapping[str, str] = {
    "at": "timestamptz",
    "actor": "text",
    "action": "text",
    "purpose": "text",
    "entity": "text",
    "key": "uuid",
    "detail": "text",
}
BATCH_FIELDS: Mapping[str, str] = {
    "id": "int8",
    "recorded_at": "timestamptz",
    "worker": "text",
    "policy_digest": "text",
}
TAGS: Mapping[str, str] = {
    "audit": "audit row 1",
    "release": "release row 1",
    "action": "action row 1",
    "batch": "batch row 1",
}
FIELDS: Mapping[str, Mapping[str, str]] = {
    "audit": AUDIT_FIELDS,
    "release": RELEASE_FIELDS,
    "action": ACTION_FIELDS,
    "batch": BATCH_FIELDS,
}

_TYPES = {"int2": (21, ">h"), "int4": (23, ">i"), "int8": (20, ">q")}
_TEXT, _UUID, _TIME = 25, 2950, 1184
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def row_bytes(relation: str, row: Mapping[str, Any]) -> bytes:
    """Return a row's bytes as PostgreSQL's ``record_send`` gives them: a count, then each field's type and value.

    Args:
        relation: ``audit``, ``release``, ``action`` or ``batch``.
        row: has every field of ``FIELDS[relation]``; uuids and times as Python values or as text.
    """
    fields = FIELDS[relation]
    parts = [struct.pack(">i", len(fields) + 1), _field("text", TAGS[relation])]
    return b"".join([*parts, *(_field(kind, row[name]) for name, kind in fields.items())])


def _field(kind: str, value: Any) -> bytes:
    number, content = _content(kind, value)
    if content is None:
        return struct.pack(">ii", number, -1)
    return struct.pack(">ii", number, len(content)) + content


def _content(kind: str, value: Any) -> tuple[int, bytes | None]:
    if kind in _TYPES:
        number, form = _TYPES[kind]
        return number, None if value is None else struct.pack(form, int(value))
    if kind == "uuid":
        return _UUID, None if value is None else UUID(str(value)).bytes
    if kind == "timestamptz":
        return _TIME, None if value is None else struct.pack(">q", _micros(value))
    return _TEXT, None if value is None else str(value).encode()


def _micros(value: Any) -> int:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment - _EPOCH) // timedelta(microseconds=1)


def leaf_of(relation: str, row: Mapping[str, Any]) -> bytes:
    """Return a row's leaf."""
    return hashlib.sha256(row_bytes(relation, row)).digest()


def node_of(placed_leaves: bytes) -> bytes:
    """Return the node of a chunk: for each row 8 bytes of place and 32 bytes of leaf, in the order of places."""
    return hashlib.sha256(b"\x01" + placed_leaves).digest()


@dataclass(frozen=True, slots=True)
class Part:
    """The consecutive rows of one batch in a chain; ``batch_leaf``: the leaf of the batch's own row."""

    batch: int
    batch_leaf: bytes
    first: int
    last: int
    rows: int
    nodes: tuple[bytes, ...]

    @property
    def digest(self) -> bytes:
        """Return the digest from which the root is made."""
        ends = struct.pack(">qqqi", self.batch, self.first, self.last, self.rows)
        return hashlib.sha256(b"\x02" + ends + self.batch_leaf + b"".join(self.nodes)).digest()


def root_of(parts: Sequence[bytes]) -> bytes:
    """Return the root over the digests of parts, in their order."""
    return hashlib.sha256(b"\x03" + b"".join(parts)).digest()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a chain, ``first <= place < end``, as its link covers it; ``marks_digest``: of marks and places."""

    chain: str
    first: int
    end: int
    rows: int
    root: bytes
    marks_digest: bytes

    def link(self, previous: bytes) -> bytes:
        """Return the link that connects this stretch with the one before it."""
        name = self.chain.encode()
        ends = struct.pack(">qqi", self.first, self.end, self.rows)
        sized = struct.pack(">i", len(name)) + name
        return hashlib.sha256(b"\x04" + previous + sized + ends + self.root + self.marks_digest).digest()


def marks_digest(marks: bytes, places: bytes | None) -> bytes:
    """Return the digest of marks and places, which help to name wrong rows; the link covers it."""
    return hashlib.sha256(b"\x05" + struct.pack(">i", len(marks)) + marks + (places or b"")).digest()


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The end of a chain: the place after its last sealed row, and its last link."""

    chain: str
    end: int
    link: str


@dataclass(frozen=True, slots=True)
class Head:
    """The ends of the chains that moved since the previous head, and that head's digest.

    ``number`` counts from 1 without a gap. ``previous``: hex; the SHA-256 of the previous head's document.
    """

    number: int
    signed_at: str
    key_id: str
    previous: str
    chains: tuple[ChainEnd, ...]

    def document(self) -> str:
        """Return the text that is signed, in UTF-8."""
        content = {
            "format": "evidence head 1",
            "number": self.number,
            "signed_at": self.signed_at,
            "key_id": self.key_id,
            "previous": self.previous,
            "chains": [{"chain": of.chain, "end": of.end, "link": of.link} for of in self.chains],
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, document: str) -> "Head":
        """Return the head in a document.

        Raises:
            ValueError: it contains none.
        """
        try:
            content = json.loads(document)
            chains = tuple(ChainEnd(one["chain"], int(one["end"]), one["link"]) for one in content["chains"])
            return cls(int(content["number"]), content["signed_at"], content["key_id"], content["previous"], chains)
        except (KeyError, TypeError) as error:
            raise ValueError("not the document of a head") from error


def document_digest(document: str) -> str:
    """Return what the next head stores as ``previous``: SHA-256, hex."""
    return hashlib.sha256(document.encode()).hexdigest()


def key_id_of(public_key: bytes) -> str:
    """Return the id of an Ed25519 public key (32 bytes): the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]
