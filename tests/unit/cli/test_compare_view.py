"""What ``hub connect compare`` prints: differences first, and after a repair what still differs, apart from before."""

from dataclasses import replace
from uuid import UUID

import polars as pl
import pytest

from hub.cli.connect.compare_view import print_comparison
from hub.cli.connect.one_compare import SourceCompared
from hub.operate.compare.found import KEYS, Compared, Kind
from hub.operate.compare.repair import Repaired, RepairPlan

SUBJECT, EQUAL = "dossier.progressed", "citizen.changed"


def keys(kind: Kind, *numbers: int) -> pl.DataFrame:
    rows = [
        {"kind": kind.value, "key": UUID(int=number).bytes, "part": "", "why": "why", "place": None, "revoked": False}
        for number in numbers
    ]
    return pl.DataFrame(rows, schema=KEYS)


def compared(subject: str, found: pl.DataFrame) -> Compared:
    return Compared(subject, ("s",), 10, 9, 1, {}, 0, caught_up=True, says_all=True, keys=found)


def repaired(still: pl.DataFrame, unable: int = 0) -> SourceCompared:
    found = pl.concat([keys(Kind.MISSING, 1, 2), keys(Kind.LEFT_OVER, 3)])
    publish = found.filter(pl.col("kind") == "missing").with_columns(raise_to=pl.lit(None, pl.Int64))
    plan = RepairPlan(SUBJECT, publish, found.filter(pl.col("kind") == "left_over"), unable)
    done = SourceCompared("hanam", [compared(EQUAL, keys(Kind.ON_ITS_WAY)), compared(SUBJECT, found)])
    done.plans = {SUBJECT: plan, EQUAL: RepairPlan(EQUAL, publish.clear(), found.clear(), 0)}
    done.repaired = {SUBJECT: Repaired(2, 1, 0, True, still.select("kind", "key", "part"))}
    return done


def shown(done: SourceCompared, capsys: pytest.CaptureFixture[str], most: int = 20) -> str:
    print_comparison(done, most, executed=True)
    return capsys.readouterr().out


def test_subject_that_differs_is_shown_before_one_that_is_equal(capsys: pytest.CaptureFixture[str]) -> None:
    done = SourceCompared("hanam", [compared(EQUAL, keys(Kind.MISSING)), compared(SUBJECT, keys(Kind.MISSING, 1))])
    print_comparison(done, 20, executed=False)
    told = capsys.readouterr().out
    assert told.index(SUBJECT) < told.index(EQUAL)
    assert told.rstrip().endswith("they differ")
    assert "repair" not in told


def said(*kinds: pl.DataFrame, repeated: int = 0, shared: int = 0, revoked: int = 0) -> SourceCompared:
    found = compared(SUBJECT, pl.concat([keys(Kind.MISSING), *kinds]))
    return SourceCompared("hanam", [replace(found, repeated=repeated, shared=shared, revoked=revoked)])


def parked(*numbers: int) -> pl.DataFrame:
    return keys(Kind.HAS_OUTCOME, *numbers).with_columns(why=pl.lit("published, parked, waits for admin_unit:1"))


@pytest.mark.parametrize(
    ("done", "conclusion"),
    [
        (said(), "equal"),
        (said(parked(1, 2)), "equal, of which 2 wait (parked)"),
        (
            said(parked(1), keys(Kind.HAS_OUTCOME, 2, 3)),
            "equal, of which 1 waits (parked), 2 were refused or made a dead letter",
        ),
        (said(keys(Kind.ON_ITS_WAY, 1)), "no difference that is not on its way: 1 on its way"),
        (
            said(keys(Kind.ON_ITS_WAY, 1, 2), parked(3)),
            "no difference that is not on its way: 2 on their way, 1 waits (parked)",
        ),
        (said(keys(Kind.MISSING, 1), parked(2)), "they differ"),
        (said(shared=3), "equal, of which 3 with two or more rows of one version"),
    ],
)
def test_conclusion_says_what_is_open_although_nothing_differs(
    done: SourceCompared, conclusion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(done, 20, executed=False)
    assert capsys.readouterr().out.splitlines()[-1] == conclusion
    assert done.as_json(20)["conclusion"] == conclusion


def test_keys_of_the_source_and_revoked_claims_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    done = said(repeated=2, shared=1, revoked=7)
    print_comparison(done, 20, executed=False)
    told = capsys.readouterr().out
    assert [
        one.strip() for one in next(line for line in told.splitlines() if line.startswith("│")).split("│")[1:5]
    ] == [SUBJECT, "8", "9", "7"]
    assert "1 thing has two or more rows of one version with other content" in told
    (subject,) = done.as_json(20)["subjects"]
    counted = {"source_rows": 10, "keys_at_source": 8, "claims_revoked": 7, "two_of_one_version": 1, "parked": 0}
    assert counted.items() <= subject.items()


def test_after_a_repair_what_still_differs_is_named_apart_from_what_differed_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = shown(repaired(keys(Kind.LEFT_OVER, 3)), capsys)
    before, _, after = told.partition("\nafter the repair\n")
    assert "hanam, before the repair" in before
    assert str(UUID(int=1)) in before
    assert "to publish 2, to withdraw 1" in before
    assert "published 2, withdrew 1" in after
    assert "1 still differ" in after
    assert f"{UUID(int=3)}  left over in the hub" in after
    assert str(UUID(int=1)) not in after
    assert after.rstrip().endswith("after the repair they still differ")


def test_after_a_repair_of_everything_they_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    after = shown(repaired(keys(Kind.MISSING)), capsys).partition("\nafter the repair\n")[2]
    assert "nothing differs any more" in after
    assert after.rstrip().endswith("after the repair they are equal")


def test_keys_that_no_version_of_the_source_can_win_still_differ(capsys: pytest.CaptureFixture[str]) -> None:
    after = shown(repaired(keys(Kind.MISSING), unable=2), capsys).partition("\nafter the repair\n")[2]
    assert "2 still differ" in after
    assert after.rstrip().endswith("after the repair they still differ")


def test_only_so_many_keys_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    done = repaired(keys(Kind.MISSING, 1, 2))
    after = shown(done, capsys, most=1).partition("\nafter the repair\n")[2]
    assert "... and 1 more" in after
    (subject,) = [one for one in done.as_json(1)["subjects"] if one["subject"] == SUBJECT]
    assert subject["repaired"]["left"] == 2
    assert [one["key"] for one in subject["repaired"]["keys"]] == [str(UUID(int=1))]
