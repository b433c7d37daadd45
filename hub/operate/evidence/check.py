"""Check a bundle that proves an event: needs no server and no warehouse, only the bundle and a public key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.model.evidence import Head, Part, Stretch, leaf_of, node_of, root_of
from hub.operate.evidence.keys import is_signed

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
