"""Verify signed heads: each follows the one before, is signed by a trusted key, and equals what was published.

Several warehouses may publish to one Kafka. Heads follow one another by digest, so the heads of this warehouse are
those
that go back to its first head. Other heads that a key of this warehouse signed are reported: a rewritten warehouse
leaves such heads on the topic.
"""

from collections.abc import Collection, Iterator, Sequence

from hub.model.evidence import Head, document_digest, key_id_of
from hub.operate.evidence.findings import Finding, Wrong
from hub.operate.evidence.heads import SignedHead
from hub.operate.evidence.keys import is_signed


def verify_heads(
    stored: Sequence[SignedHead], published: Sequence[SignedHead] | None, trusted: Collection[bytes] | None
) -> tuple[list[Finding], dict[tuple[str, int], str]]:
    """Check the heads.

    Args:
        stored: those of the warehouse, in order.
        published: those of the topic, in order; None if it was not read.
        trusted: public keys that an auditor trusts; None: those that the warehouse names.

    Returns:
        What is wrong, and the link that the signed heads give for (chain, end); published heads take precedence.
    """
    findings = list(_sequence_findings(stored, "stored", trusted))
    links: dict[tuple[str, int], str] = {}
    if published is not None:
        keys = set(trusted) if trusted is not None else {one.public_key for one in stored}
        ours, others = _of_this_warehouse(stored, published)
        findings += _sequence_findings(list(ours.values()), "published", trusted)
        findings += _differences(stored, ours)
        strangers = [one for one in others if one.public_key in keys]
        if strangers:
            words = (
                f"and {len(strangers) - 1} more were signed and published with this key, and do not follow from head 1"
            )
            findings.append(Finding(Wrong.HEAD_MISSING, f"head {strangers[0].number}", words))
        for one in (*ours.values(), *strangers):
            _note_links(links, one)
    for one in stored:
        _note_links(links, one)
    return findings, links


def _of_this_warehouse(
    stored: Sequence[SignedHead], published: Sequence[SignedHead]
) -> tuple[dict[int, SignedHead], list[SignedHead]]:
    """Separate the heads that go back to the first stored head from others; of equal numbers the earlier counts."""
    first = document_digest(stored[0].document) if stored else ""
    ours: dict[int, SignedHead] = {}
    others: list[SignedHead] = []
    follows, seen = {first}, set[str]()
    for one in published:
        digest = document_digest(one.document)
        if digest in seen or not is_signed(one.public_key, one.document, one.signature):
            continue
        seen.add(digest)
        if digest == first or _previous(one) in follows:
            follows.add(digest)
            ours.setdefault(one.number, one)
        else:
            others.append(one)
    return dict(sorted(ours.items())), others


def _previous(one: SignedHead) -> str:
    try:
        return Head.parse(one.document).previous
    except ValueError:
        return ""


def _differences(stored: Sequence[SignedHead], ours: dict[int, SignedHead]) -> Iterator[Finding]:
    by_number = {one.number: one.document for one in stored}
    newest = max(ours, default=0)
    for number, one in ours.items():
        if number not in by_number:
            yield Finding(Wrong.HEAD_MISSING, f"head {number}", "was published and is not stored")
        elif by_number[number] != one.document:
            yield Finding(Wrong.HEAD_ALTERED, f"head {number}", "is stored differently from what was published")
    for number in by_number:
        if number < newest and number not in ours:
            yield Finding(Wrong.HEAD_ALTERED, f"head {number}", "is stored and was never published")
    if by_number and not ours:
        yield Finding(Wrong.HEAD_ALTERED, "heads", "none that is stored was ever published")


def _note_links(links: dict[tuple[str, int], str], one: SignedHead) -> None:
    try:
        chains = Head.parse(one.document).chains
    except ValueError:
        return
    for of in chains:
        links.setdefault((of.chain, of.end), of.link)


def _sequence_findings(heads: Sequence[SignedHead], kind: str, trusted: Collection[bytes] | None) -> Iterator[Finding]:
    expected, previous = 1, ""
    for one in heads:
        where = f"{kind} head {one.number}"
        if one.number != expected:
            last = one.number - 1
            which = f"head {expected}" if last == expected else f"heads {expected} to {last}"
            yield Finding(Wrong.HEAD_MISSING, where, f"{kind} {which} before it: not there")
        try:
            says = Head.parse(one.document)
        except ValueError:
            says = None
        if says is None or says.number != one.number or says.key_id != one.key_id:
            yield Finding(Wrong.HEAD_ALTERED, where, "its document says something else")
        elif one.number == expected and says.previous != previous:
            yield Finding(Wrong.HEAD_ALTERED, where, "does not follow the head before it")
        if not is_signed(one.public_key, one.document, one.signature) or key_id_of(one.public_key) != one.key_id:
            yield Finding(Wrong.SIGNATURE_WRONG, where, f"is not signed by key {one.key_id}")
        elif trusted is not None and one.public_key not in trusted:
            yield Finding(Wrong.KEY_NOT_TRUSTED, where, f"is signed by key {one.key_id}, which was not given")
        expected, previous = one.number + 1, document_digest(one.document)
