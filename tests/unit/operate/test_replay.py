"""What a replay selects, and how fast it may go; every table has a kind."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import polars as pl
import pytest

from hub.model.entities import SUBJECTS
from hub.model.errors import ConfigError
from hub.model.policies.policy import parse_policy
from hub.operate.replay.filters import Filters, LogPlace, OffsetFilter, PlannedRange, Selection, ranges_of
from hub.operate.replay.pipeline import awaited_subjects
from hub.operate.replay.rate import RateCap
from hub.operate.replay.select import PLACE_SCHEMA, Sieve
from hub.reconcile.shared.event_order import with_event_order
from hub.topology import event_topic
from hub.warehouse.batch import ORDER_DUPLICATE, ORDER_NEWER, Accepted, Advance, Batch, audit_rows
from hub.warehouse.tables.entities import aspect_tables
from hub.warehouse.tables.kinds import TableKind, kind_of, lasting_tables, tables_of

POLICY = parse_policy(
    b"""
    [[source]]
    code = "npd"
    agency = "G01"
    role = "population"
    subjects = ["citizen.changed", "residence.changed"]
    [[source]]
    code = "h40.old"
    agency = "H40"
    role = "province"
    subjects = ["citizen.changed"]
    [[source]]
    code = "h40.ward"
    agency = "H40.12.7"
    role = "province"
    subjects = ["dossier.progressed"]
    [[source]]
    code = "h42"
    agency = "H42"
    role = "province"
    subjects = ["citizen.changed"]
    """
)
CITIZENS = event_topic("citizen.changed")
PLACES = [
    LogPlace(1, CITIZENS, 0, 0, 100),
    LogPlace(2, CITIZENS, 1, 10, 50),
    LogPlace(3, event_topic("residence.changed"), 0, 0, 7),
]
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
KEY = UUID(int=7)


def test_every_table_has_a_kind() -> None:
    assert [table.name for table in lasting_tables() if kind_of(table) is None] == []
    names = {kind: {table.name for table in tables_of(kind)} for kind in TableKind}
    assert {"citizen_person_claim", "review", "parked", "unit_now"} <= names[TableKind.STATE]
    assert {"audit", "log_partition", "release", "action"} <= names[TableKind.EVIDENCE]
    assert names[TableKind.REGISTER] == {"source", "authority", "policy", "calendar", "calendar_day"}


@pytest.mark.parametrize(
    ("filters", "sources", "subjects"),
    [
        (Filters(), None, tuple(SUBJECTS)),
        (Filters(provinces=("H40",)), ("h40.old", "h40.ward"), ("citizen.changed", "dossier.progressed")),
        (Filters(sources=("npd",)), ("npd",), ("citizen.changed", "residence.changed")),
        (Filters(sources=("h40.old", "h42"), provinces=("H40",)), ("h40.old",), ("citizen.changed",)),
        (Filters(entity="social_payment", keys=(KEY,)), None, ("social_payment.changed",)),
        (Filters(offsets=(OffsetFilter("citizen.changed", 0, 5, None),)), None, ("citizen.changed",)),
    ],
)
def test_filters_choose_sources_and_subjects(
    filters: Filters, sources: tuple[str, ...] | None, subjects: tuple[str, ...]
) -> None:
    assert filters.problems(POLICY) == []
    assert filters.chosen_sources(POLICY) == sources
    assert filters.chosen_subjects(POLICY) == subjects


def test_filters_that_select_nothing_or_name_what_is_not_there_are_refused_all_at_once() -> None:
    wrong = Filters(sources=("nobody",), provinces=("H99",), subjects=("weather.changed",), since=NOON, until=NOON)
    assert wrong.problems(POLICY) == [
        "--source nobody: the policy has no such source",
        "--province H99: no source of the policy has an agency H99",
        "weather.changed: no such subject",
        "--since must be before --until",
    ]
    assert Filters(sources=("npd",), provinces=("H40",)).problems(POLICY) == [
        "--source and --province together select no source"
    ]
    elsewhere = Filters(subjects=("dossier.submitted",), sources=("npd",)).problems(POLICY)
    assert elsewhere == ["the filters together select no subject: no source among them may speak of what is named"]
    left_out = Filters(subjects=("residence.changed",), offsets=(OffsetFilter("citizen.changed", 0, 1, 2),))
    assert left_out.problems(POLICY) == ["--offsets of citizen.changed, which --subject leaves out"]


def test_offsets_are_read_from_text_and_end_before_their_end() -> None:
    assert OffsetFilter.parse("citizen.changed/3@100-2000") == OffsetFilter("citizen.changed", 3, 100, 2000)
    assert OffsetFilter.parse("citizen.changed/0@-7") == OffsetFilter("citizen.changed", 0, None, 7)
    for text in ("citizen.changed@1-2", "citizen.changed/0@5-5", "citizen.changed/0"):
        with pytest.raises(ConfigError, match="--offsets"):
            OffsetFilter.parse(text)


def test_ends_are_fixed_where_the_warehouse_stands_and_partitions_that_are_not_named_are_whole() -> None:
    filters = Filters(offsets=(OffsetFilter("citizen.changed", 0, 20, 30),))
    assert ranges_of(filters, POLICY, PLACES) == (
        PlannedRange(1, CITIZENS, 0, 20, 100, 30, 0),
        PlannedRange(2, CITIZENS, 1, 10, 50, 50, 10),
    )
    assert [one.log for one in ranges_of(Filters(), POLICY, PLACES)] == [1, 2, 3]


def selection(**more: object) -> Selection:
    ranges = (PlannedRange(1, CITIZENS, 0, 2, 6, 5, 0),)
    values = {"subjects": ("citizen.changed",), "sources": None, "keys": None, "since": None, "until": None}
    return Selection(**(values | {"ranges": ranges} | more))  # type: ignore[arg-type]


def test_selection_is_the_same_after_it_was_stored() -> None:
    one = selection(sources={"npd": 1}, keys=(KEY,), since=NOON)
    assert Selection.from_json(one.as_json()) == one
    assert (one.is_whole, one.is_narrowed, one.reads) == (False, True, 4)
    whole = selection(subjects=tuple(SUBJECTS), ranges=ranges_of(Filters(), POLICY, PLACES))
    assert (whole.is_whole, whole.is_narrowed) == (True, False)


Row = tuple[int, int, int | None, UUID | None]


def kept(
    selection: Selection, copied: dict[int, int], rows: Sequence[Row], discarded: Sequence[tuple[int, int]] = ()
) -> list[int]:
    """Return the offsets of refused rows (log, offset, source, key) that a sieve keeps."""
    frame = pl.DataFrame(
        [
            {"log": log, "log_offset": offset, "outcome": "rejected", "source": source, "key": key and key.bytes}
            for log, offset, source, key in rows
        ],
        schema_overrides={"log": pl.Int16, "source": pl.Int16, "key": pl.Binary},
    )
    batch = Batch((Advance(1, CITIZENS, 0, 0, 9, 9),), (), audit_rows(frame))
    places = pl.DataFrame(list(discarded), schema=PLACE_SCHEMA, orient="row")
    return Sieve(selection, copied, places).keep(batch).refused["log_offset"].to_list()


def test_sieve_keeps_the_scope_to_the_copy_and_everything_beyond() -> None:
    rows = [(1, offset, source, KEY) for offset in range(2, 9) for source in (1, 2)]
    mine = selection(sources={"npd": 1})
    # Left out by --offsets: 5; after the plan's end the whole scope counts again; from the copy on, all sources.
    assert kept(mine, {1: 8}, rows) == [2, 3, 4, 6, 7, 8, 8]
    assert kept(mine, {1: 6}, rows) == [2, 3, 4, 6, 6, 7, 7, 8, 8]
    assert kept(selection(keys=(UUID(int=8),)), {1: 9}, rows) == []
    assert kept(selection(keys=(KEY,)), {1: 9}, [(1, 2, None, None), (1, 3, None, KEY)]) == [3]
    assert kept(mine, {1: 8}, [(2, 0, 2, None)]) == [0], "a log partition that the copy did not know"


def test_sieve_leaves_out_what_was_discarded_within_the_scope_and_beyond() -> None:
    rows = [(log, offset, 1, KEY) for log in (1, 2) for offset in (2, 3, 9)]
    assert kept(selection(), {1: 8}, rows) == [2, 3, 9, 2, 3, 9]
    assert kept(selection(), {1: 8}, rows, [(1, 3), (2, 9), (1, 5)]) == [2, 9, 2, 3]


def accepted_rows(*offsets: int) -> Batch:
    """Return a batch of accepted versions of one thing, all the same event: the first is the one that is new."""
    names = aspect_tables("citizen.changed").identity
    frame = pl.DataFrame(
        {
            "row": range(len(offsets)),
            "log": 1,
            "log_offset": offsets,
            "source": 1,
            "source_epoch": 1,
            "source_version": 1,
            "content_hash": 5,
            "recorded_at": NOON,
        },
        schema_overrides={"row": pl.UInt32, "log": pl.Int16, "source": pl.Int16},
    ).with_columns(*(pl.lit(KEY.bytes).alias(name) for name in names))
    return Batch((), (Accepted("citizen.changed", with_event_order(frame, names)),))


def test_sieve_leaves_a_batch_alone_from_which_nothing_is_left_out_and_turns_to_the_rows_that_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.operate.replay.select.with_stage", lambda accepted: accepted)
    batch = accepted_rows(2, 3)
    assert batch.accepted[0].frame["turn"].to_list() == [ORDER_NEWER, ORDER_DUPLICATE]
    elsewhere = pl.DataFrame([(1, 7), (2, 2)], schema=PLACE_SCHEMA, orient="row")
    assert Sieve(selection(), {}, elsewhere).keep(batch).accepted[0] is batch.accepted[0]
    here = pl.DataFrame([(1, 2)], schema=PLACE_SCHEMA, orient="row")
    (left,) = Sieve(selection(), {}, here).keep(batch).accepted
    assert left.frame.select("log_offset", "turn").rows() == [(3, ORDER_NEWER)], "sent again, it is not discarded"


def test_rate_cap_lets_so_many_events_pass_in_a_second() -> None:
    now = 0.0

    def clock() -> float:
        return now

    cap = RateCap(1000, clock)
    assert cap.most(50_000) == 1000
    assert cap.most(10) == 10
    passed = 0
    while now < 10:
        passed += 500
        now += cap.wait_s(500)
    assert passed == 10_000
    now = 60.0
    assert cap.wait_s(500) == 0.5, "time in which nothing was read is not made up for"
    free = RateCap(None, clock)
    assert (free.most(50_000), free.wait_s(1_000_000)) == (50_000, 0.0)


def test_what_others_wait_for_is_read_first() -> None:
    assert awaited_subjects() >= {"admin_unit.changed", "procedure.changed"}
    assert not awaited_subjects() & {"review.decided", "inspection.changed"}
