"""What tests of evidence share: sealing and signing as a worker does, rows changed behind the hub's back, findings."""

from collections.abc import Sequence

from sqlalchemy import Engine, text

from hub.operate.evidence.findings import Finding
from hub.operate.evidence.heads import SignedHead, note_published, sign_head, stored_heads
from hub.operate.evidence.keys import SigningKey
from hub.operate.evidence.seal import seal_all
from hub.operate.evidence.verify import Range, Verification, verify_rows
from hub.operate.evidence.verify_heads import verify_heads
from tests.support.merge_world import TOPIC, Said, World

CHAIN = f"{TOPIC}/0"


def people(first: int, count: int) -> list[Said]:
    """Return what is said of some citizens, numbered from the first."""
    return [Said(number, "population", 1) for number in range(first, first + count)]


def seal_and_sign(working: Engine, key: SigningKey) -> SignedHead:
    """Seal what is committed, sign a head and note it as published."""
    with working.connect() as connection:
        seal_all(connection)
        with connection.begin():
            head = sign_head(connection, key)
            note_published(connection, [{"number": head.number, "topic": "t", "partition": 0, "log_offset": 0}])
    return head


def execute(world: World, *statements: str) -> None:
    """Run statements in a transaction, as the owner of the tables."""
    with world.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def verified(
    world: World, published: Sequence[SignedHead] | None = None, trusted: set[bytes] | None = None
) -> tuple[list[str], Verification]:
    """Return what is wrong, as ``kind place``, and all that was found."""
    with world.engine.connect() as connection:
        findings, links = verify_heads(stored_heads(connection), published, trusted)
        done = verify_rows(connection, links, Range())
    return [short(one) for one in (*findings, *done.findings)], done


def short(one: Finding) -> str:
    return f"{one.wrong} {one.where.removeprefix(CHAIN)}"
