#!/usr/bin/env python3
"""Check an evidence bundle of the data-sharing hub, on any machine.

Needs Python 3.11 or newer and the package ``cryptography``; nothing of the hub, no network.

    python check_evidence.py event.json --key 64e85388...   (64 hex digits, or a file with them or with a PEM key)

Exit code 0: the event is proven. 1: it is not. 2: a file cannot be read.
Take this file and the public key from a person you trust, not from the party you audit: it prints its own SHA-256.
"""

import argparse
import hashlib
import json
import os
import struct
import sys
from collections.abc import Mapping
from collections.abc import Mapping, Sequence
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
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


def is_signed(public: bytes, document: str, signature: bytes) -> bool:
    """Tell whether the key's owner signed the document."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, document.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


BUNDLE = "evidence bundle 1"


@dataclass(frozen=True, slots=True)
class Step:
    """One check in words, and whether it holds."""

    words: str
    holds: bool


def check_bundle(bundle: Mapping[str, Any], public_key: bytes) -> list[Step]:
    """Return the checks in order; the event is proven if all of them hold.

    Raises:
        ValueError: this is not a bundle.
    """
    if bundle.get("format") != BUNDLE or not bundle.get("proofs"):
        raise ValueError("not an evidence bundle")
    steps = []
    try:
        for proof in bundle["proofs"]:
            steps += _steps(proof, str(bundle["event_id"]), public_key)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"a broken evidence bundle ({type(error).__name__})") from error
    return steps


def _steps(proof: Mapping[str, Any], event_id: str, public_key: bytes) -> list[Step]:
    where = f"{proof['chain']}/{proof['place']}"
    leaf = leaf_of(proof["relation"], proof["row"])
    leaves = {place: bytes.fromhex(digest) for place, digest in proof["leaves"]}
    node = node_of(b"".join(place.to_bytes(8, "big", signed=True) + digest for place, digest in leaves.items()))
    batch_leaf = leaf_of("batch", proof["batch_row"])
    of_part = proof["part"]
    nodes = tuple(bytes.fromhex(one) for one in proof["nodes"])
    part = Part(of_part["batch"], batch_leaf, of_part["first"], of_part["last"], of_part["rows"], nodes)
    parts = [bytes.fromhex(one) for one in proof["parts"]]
    link, root, end = _follow(proof)
    document = proof["head"]["document"]
    ends = {(of.chain, of.end): of.link for of in Head.parse(document).chains}
    row = proof["row"]
    return [
        Step(f"{where}: the row names this event", row["event_id"] == event_id),
        Step(f"{where}: the row's hash is the leaf at this place", leaves.get(proof["place"]) == leaf),
        Step(f"{where}: the leaves make their node", nodes[proof["node"]] == node),
        Step(
            f"{where}: the nodes and the batch's row make their part",
            parts[proof["part_number"]] == part.digest and row["batch"] == part.batch == proof["batch_row"]["id"],
        ),
        Step(f"{where}: the parts make the root of the first stretch", root_of(parts) == root),
        Step(f"{where}: the links of the chain lead to the head", ends.get((proof["chain"], end)) == link.hex()),
        Step(
            f"{where}: the head is signed by the key given",
            is_signed(public_key, document, bytes.fromhex(proof["head"]["signature"])),
        ),
    ]


def _follow(proof: Mapping[str, Any]) -> tuple[bytes, bytes, int]:
    """Return the last link, the root of the first stretch, and the place at which the last stretch ends."""
    link = bytes.fromhex(proof["previous"])
    stretches = [
        Stretch(
            proof["chain"],
            one["first"],
            one["end"],
            one["rows"],
            bytes.fromhex(one["root"]),
            bytes.fromhex(one["marks_digest"]),
        )
        for one in proof["stretches"]
    ]
    for stretch in stretches:
        link = stretch.link(link)
    first = stretches[0]
    root = first.root if first.first <= proof["place"] < first.end else b""
    return link, root, stretches[-1].end


def public_key_of(text: str) -> bytes:
    """Return the 32 bytes of an Ed25519 public key: hex digits, or a file of them, or a PEM file."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if os.path.exists(text):
        with open(text, "rb") as file:
            content = file.read()
        if content.lstrip().startswith(b"-----BEGIN"):
            return load_pem_public_key(content).public_bytes(Encoding.Raw, PublicFormat.Raw)
        text = content.decode("ascii").strip()
    key = bytes.fromhex(text)
    if len(key) != 32:
        raise ValueError("a public key has 64 hex digits")
    return key


def main() -> int:
    """Check the bundle that the command line names."""
    parser = argparse.ArgumentParser(description="Check an evidence bundle.")
    parser.add_argument("bundle", help="file that `hub audit prove` wrote")
    parser.add_argument("--key", required=True, help="public key of the hub: 64 hex digits, or a file")
    asked = parser.parse_args()
    with open(__file__, "rb") as file:
        print("this checker: sha256", hashlib.sha256(file.read()).hexdigest())
    try:
        with open(asked.bundle, encoding="utf-8") as file:
            bundle = json.load(file)
        steps = check_bundle(bundle, public_key_of(asked.key))
    except (OSError, ValueError, AttributeError) as error:
        print("cannot be checked:", type(error).__name__, ascii(str(error)))
        return 2
    for step in steps:
        print("holds" if step.holds else "FAILS", ascii(step.words)[1:-1])
    proven = bool(steps) and all(step.holds for step in steps)
    for proof in bundle["proofs"] if proven else []:
        row = proof["row"]
        what = [proof["chain"], proof["place"], row["outcome"], row["reason"], row["recorded_at"], row["key"]]
        print("proven:", *(ascii(one)[1:-1] if isinstance(one, str) else one for one in what))
    if not proven:
        print("not proven")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())
