"""What is wrong with keys in which two sides differ, against a reckoning row by row."""

from dataclasses import dataclass

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from hub.operate.compare.buckets import Digests, differing
from hub.operate.compare.found import Kind
from hub.operate.compare.judge import CLAIMS, JUDGED
from hub.operate.compare.repair import plan_repair
from hub.operate.compare.verdict import ROWS, Sides, candidates, verdict
from tests.support.compare_frames import compared


@dataclass(frozen=True, slots=True)
class Said:
    """A key as one side has it."""

    version: int
    content: int
    revoked: bool


SAID = st.builds(Said, st.integers(1, 3), st.integers(1, 2), st.booleans())
SIDE = st.dictionaries(st.integers(0, 5), SAID, max_size=6)
KEYS = st.sets(st.integers(0, 5))


def key(number: int) -> bytes:
    """Return a key of 16 bytes."""
    return number.to_bytes(2, "big") + b"\0" * 14


def rows(side: dict[int, Said]) -> pl.DataFrame:
    """Return a side as the source's rows."""
    told = [(number, key(number), "", 1, one.version, one.content, one.revoked, None) for number, one in side.items()]
    judged = pl.DataFrame(told, schema=JUDGED, orient="row")
    return judged.with_columns(stream=pl.lit("s"), place=pl.lit(None, pl.String())).select(ROWS.names())


def claims(side: dict[int, Said]) -> pl.DataFrame:
    """Return a side as claims."""
    told = [(key(number), "", 1, one.version, one.content, one.revoked) for number, one in side.items()]
    return pl.DataFrame(told, schema=CLAIMS, orient="row")


def stands(one: Said | None) -> bool:
    """Tell whether a side holds a key."""
    return one is not None and not one.revoked


def expected(
    source: dict[int, Said], hub: dict[int, Said], unread: set[int], blocked: set[int], caught_up: bool
) -> dict[int, str]:
    """Reckon what is wrong with each key."""
    found = {}
    for number in range(6):
        here, there = source.get(number), hub.get(number)
        if here is None:
            if stands(there) and number not in blocked:
                found[number] = "left_over" if caught_up else "on_its_way"
            continue
        same = stands(here) == stands(there) and (not stands(here) or here.content == (there or here).content)
        if not same:
            late = not caught_up or number in unread
            found[number] = "on_its_way" if late else "differs" if stands(there) else "missing"
    return found


@given(SIDE, SIDE, KEYS, KEYS, st.booleans())
def test_every_key_gets_the_verdict_of_a_plain_reckoning(
    source: dict[int, Said], hub: dict[int, Said], unread: set[int], blocked: set[int], caught_up: bool
) -> None:
    sides = Sides(rows=rows(source), before=claims(hub), after=claims(hub), blocked={key(one) for one in blocked})
    sides.unread = pl.DataFrame(
        [(key(number), "") for number in unread], schema={"key": pl.Binary(), "part": pl.String()}, orient="row"
    )
    found = verdict(candidates(sides), sides, caught_up, says_all=True)
    told = {int.from_bytes(name[:2], "big"): kind for name, kind in found.select("key", "kind").iter_rows()}
    assert told == expected(source, hub, unread, blocked, caught_up)


@given(SIDE, SIDE)
def test_buckets_differ_where_their_keys_do(source: dict[int, Said], hub: dict[int, Said]) -> None:
    sides = []
    for side in (source, hub):
        digests = Digests()
        digests.add(rows(side))
        sides.append(digests.frame())
    holds = [{number: one.content for number, one in side.items() if not one.revoked} for side in (source, hub)]
    wrong = [number for number in range(6) if holds[0].get(number) != holds[1].get(number)]
    assert differing(*sides) == wrong


@given(SIDE, SIDE)
def test_what_is_published_wins_over_the_claim(source: dict[int, Said], hub: dict[int, Said]) -> None:
    sides = Sides(rows=rows(source), before=claims(hub), after=claims(hub))
    plan = plan_repair(compared(verdict(candidates(sides), sides, True, True), len(hub)), False, allow_gone=6)
    for name, own, raised, there in plan.publish.select("key", "version", "raise_to", "there_version").iter_rows():
        assert (raised or own) > (there or 0), name
    assert plan.unable == 0
    assert plan.revoke.height == sum(stands(one) and number not in source for number, one in hub.items())


def test_key_that_was_published_again_meanwhile_is_not_gone() -> None:
    sides = Sides(before=claims({1: Said(1, 1, False), 2: Said(1, 1, False)}))
    sides.after = claims({1: Said(2, 1, False), 2: Said(1, 1, False)})
    found = verdict(candidates(sides), sides, caught_up=True, says_all=True)
    assert dict(found.select("key", "kind").iter_rows()) == {
        key(1): Kind.ON_ITS_WAY.value,
        key(2): Kind.LEFT_OVER.value,
    }


def test_nothing_is_gone_where_an_outbox_speaks_too() -> None:
    sides = Sides(before=claims({1: Said(1, 1, False)}), after=claims({1: Said(1, 1, False)}))
    assert verdict(candidates(sides), sides, caught_up=True, says_all=False).is_empty()


def test_newest_of_several_rows_of_a_key_counts() -> None:
    both = pl.concat([rows({1: Said(1, 1, False)}), rows({1: Said(2, 2, False)})])
    sides = Sides(rows=both, before=claims({1: Said(2, 2, False)}))
    assert candidates(sides).is_empty()
