"""Golden records as share composes them, and the outbox that says which to compose."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from hub.codec.decode import decode
from hub.model.entities import CITIZEN
from hub.share import outbox
from hub.share.compose import Composer
from hub.warehouse.batch import Accepted
from tests.support.merge_world import Said, World, key_of

SECRET = "a secret of the tests"  # noqa: S105 - of no system
_TIMES = Said(1, "nso", 1).fields()


def lives(world: World, code: str | None, version: int = 1, kind: str = "PERMANENT", **more: Any) -> None:
    row = {**_TIMES, "source_system": "population", "source_version": version, "unit_scheme": "GSO_2004"}
    row |= {"pin": "000299000001", "kind": kind, "action": "REGISTER", "commune_code": code, **more}
    _commit(world, "residence.changed", row, 1, 0)


def unit(world: World, code: str, successors: list[str], version: int = 1, **more: Any) -> None:
    names = ",".join(f'{{"scheme":"GSO_2025","code":"{name}"}}' for name in successors)
    row = {**_TIMES, "source_system": "nso", "source_version": version, "unit_scheme": "GSO_2004"}
    row |= {"scheme": "GSO_2004", "unit_code": code, "level": "COMMUNE", "name": code, "valid_from": date(2004, 7, 1)}
    _commit(world, "admin_unit.changed", row | {"successors": f"[{names}]"} | more, int(code), 1)


def _commit(world: World, subject: str, row: dict[str, Any], key: int, partition: int) -> None:
    world.commit_frames(partition, Accepted(subject, world.frame(subject, [row], [key_of(key)], partition), [b""]))


def composed(world: World, *keys: int) -> list[bytes | None]:
    with world.engine.connect() as connection:
        return list(Composer(CITIZEN, SECRET).compose(connection, [key_of(key) for key in keys]).values())


def record(world: World, key: int = 1) -> dict[str, Any]:
    (value,) = composed(world, key)
    assert value is not None
    return decode(value)[1]


def test_record_holds_the_claims_of_those_who_hold_its_aspects(world: World) -> None:
    world.commit([Said(1, "population", 3, full_name="A", birth_year=1990, day=2)])
    world.commit([Said(1, "province_a", 9, full_name="B", birth_year=1991)])
    lives(world, None, kind="TEMPORARY")
    lives(world, None, kind="PERMANENT", source_system="province_a")
    found = record(world)
    assert UUID(bytes=found["key"]) == key_of(1)
    assert found["pin"] == "000299000001"
    person = found["person"]
    assert (person["source"], person["source_version"], person["full_name"]) == ("population", 3, "A")
    assert person["birth_year"] == 1990
    assert found["identity"] is None
    assert [(home["kind"], home["source"]) for home in found["residences"]] == [
        ("PERMANENT", "province_a"),
        ("TEMPORARY", "population"),
    ]


def test_record_is_the_same_bytes_twice_and_its_revision_changes_with_it(world: World) -> None:
    world.commit([Said(1, "population", 1)])
    first = composed(world, 1)
    assert composed(world, 1) == first
    revision = record(world)["revision"]
    world.commit([Said(1, "province_a", 1, full_name="not the record's")])
    assert composed(world, 1) == first
    world.commit([Said(1, "population", 2)])
    assert record(world)["revision"] != revision


def test_record_is_a_tombstone_when_every_claim_is_taken_back(world: World) -> None:
    world.commit([Said(1, "population", 1), Said(2, "population", 1)])
    world.commit([Said(1, "population", 2, operation="REVOKE")])
    gone, there = composed(world, 1, 2)
    assert (gone, there is None) == (None, False)
    assert composed(world, 3) == [None]


def test_record_passes_to_the_next_authority_when_the_highest_takes_back(world: World) -> None:
    world.commit([Said(1, "population", 1, full_name="A"), Said(1, "province_a", 1, full_name="B")])
    world.commit([Said(1, "population", 2, operation="REVOKE")])
    assert record(world)["person"]["full_name"] == "B"


@pytest.mark.parametrize(
    ("successors", "said", "resolved"),
    [
        ([], {}, (None, "UNKNOWN")),
        (["00101"], {}, ("00101", "EXACT")),
        (["00101", "00102"], {}, (None, "AMBIGUOUS")),
        (["00101"], {"operation": "REVOKE"}, (None, "UNKNOWN")),
    ],
)
def test_unit_of_an_old_code_is_resolved_when_the_code_alone_tells_it(
    world: World, successors: list[str], said: dict[str, Any], resolved: tuple[str | None, str]
) -> None:
    unit(world, "13285", successors)
    lives(world, "13285")
    unit(world, "13285", successors, version=2, **said)
    (home,) = record(world)["residences"]
    assert (home["commune_code_now"], home["unit_resolution"]) == resolved


def test_unit_of_a_code_of_today_is_itself_and_an_unknown_one_is_unknown(world: World) -> None:
    unit(world, "13286", [], scheme="GSO_2025")
    unit(world, "13999", [], scheme="GSO_2025")
    lives(world, "13286", unit_scheme="GSO_2025")
    lives(world, "13999", unit_scheme="GSO_2025", kind="TEMPORARY")
    unit(world, "13999", [], version=2, scheme="GSO_2025", operation="REVOKE")
    permanent, temporary = record(world)["residences"]
    assert (permanent["commune_code_now"], permanent["unit_resolution"]) == ("13286", "EXACT")
    assert (temporary["commune_code_now"], temporary["unit_resolution"]) == (None, "UNKNOWN")


def _spans(world: World) -> list[outbox.Span]:
    with world.engine.connect() as connection:
        return outbox.open_spans(connection)


def _changes(world: World) -> outbox.Changes:
    with world.engine.connect() as connection:
        return outbox.changes_in(connection, outbox.open_spans(connection))


def _share(world: World, spans: list[outbox.Span]) -> None:
    with world.engine.begin() as connection:
        outbox.move_positions(connection, spans)


def test_spans_are_what_is_durable_and_not_shared(world: World) -> None:
    assert _spans(world) == []
    world.commit([Said(1, "population", 1), Said(2, "population", 1)])
    world.commit([Said(3, "population", 1)], partition=2)
    found = {span.partition: (span.first, span.end) for span in _spans(world)}
    assert found == {0: (0, 2), 2: (0, 1)}
    _share(world, _spans(world))
    assert _spans(world) == []
    world.commit([Said(4, "population", 1)])
    assert [(span.partition, span.first, span.end) for span in _spans(world)] == [(0, 2, 3)]


def test_spans_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_OFFSETS", 2)
    world.commit([Said(number, "population", 1) for number in range(1, 6)])
    seen = []
    while spans := _spans(world):
        seen += [(span.first, span.end, _changes(world).keys["citizen"]) for span in spans]
        _share(world, spans)
    keys = [key_of(number) for number in range(1, 6)]
    assert seen == [(0, 2, keys[:2]), (2, 4, keys[2:4]), (4, 5, keys[4:])]


def test_position_never_moves_back(world: World) -> None:
    world.commit([Said(1, "population", 1)])
    old = _spans(world)
    world.commit([Said(2, "population", 1)])
    _share(world, _spans(world))
    _share(world, old)
    _share(world, [])
    assert _spans(world) == []
    with world.engine.connect() as connection:
        assert outbox.unshared(connection) == 0
    world.commit([Said(3, "population", 1), Said(4, "population", 1)])
    with world.engine.connect() as connection:
        assert outbox.unshared(connection) == 2


def test_changes_name_each_key_once_and_only_those_whose_claims_changed(world: World) -> None:
    world.commit([Said(1, "population", 1), Said(1, "population", 2), Said(2, "population", 5)])
    _share(world, _spans(world))
    world.commit([Said(1, "population", 3), Said(1, "province_a", 1), Said(2, "population", 4)])
    assert _changes(world).keys == {"citizen": [key_of(1)]}


def test_change_of_a_unit_names_those_who_live_there(world: World) -> None:
    unit(world, "13285", [], version=0)
    unit(world, "13286", [], version=0)
    lives(world, "13285")
    world.commit([Said(2, "population", 1)])
    lives(world, "13286", kind="TEMPORARY", source_system="province_a")
    _share(world, _spans(world))
    unit(world, "13285", ["00101"])
    unit(world, "13300", ["00102"])
    with world.engine.begin() as connection:
        topic = f"UPDATE log_partition SET topic = :topic WHERE id = {world.logs[1]}"
        connection.execute(text(topic), {"topic": "hub.admin_unit.changed.v1"})
        changes = outbox.changes_in(connection, outbox.open_spans(connection))
        connection.rollback()
    assert changes.keys == {"citizen": [key_of(1)]}
