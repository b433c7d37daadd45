"""The screen and the JSON of one thing: what they say, what they hide, that they fit."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from hub.cli.records.view import render
from hub.cli.shared.screen import WIDTH
from hub.codec.decode import MASK
from hub.log.places import Place
from hub.model.entities import CITIZEN
from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.model.outcomes import Outcome
from hub.operate.records.as_json import as_json
from hub.operate.records.beside import Beside, Link, Naming, Question, Waiting
from hub.operate.records.claims import Claim, Disagreement, Identity, Side, Speaker, decided, side_of
from hub.operate.records.decisions import Decided
from hub.operate.records.history import Event, Limits, with_changes
from hub.operate.records.request import Answer
from hub.operate.records.thing import Shown, masked_shown
from hub.operate.records.times import time_of

DAY = datetime(2025, 6, 1, tzinfo=UTC)
KEY = UUID(int=7)
NAME = "Nguyễn Thị Ánh Tuyết của một họ rất dài và một tên đệm còn dài hơn thế nữa"
ROLES = ("population", "civil_status", "province", "province")


def claim(source: str, rank: int, **fields: Any) -> Claim:
    speaker = Speaker(source, "H42.12.34", ROLES[rank], rank)
    data = {"pin": "036899000001", "full_name": NAME, "birth_year": 1990, "gender": None, "life_status": "ALIVE"}
    return Claim(speaker, 1, 1_751_302_800_123_456, DAY, DAY, "UPDATE", "GSO_2025", None, 1, data | fields)


def person(*claims: Claim) -> Side:
    aspect = CITIZEN.aspect("person")
    conflicts = [
        Disagreement("birth_year", "namdinh.motcua", "dancu", DAY, None, "C12"),
        Disagreement("full_name", "namdinh.motcua", "dancu", DAY, DAY + timedelta(days=3)),
    ]
    return side_of(Identity(KEY, aspect), claims, decided(claims), conflicts)


def event(offset: int, version: int, outcome: Outcome = Outcome.APPLIED, **values: Any) -> Event:
    envelope = {"operation": "UPDATE", "recorded_at": DAY, "unit_scheme": "GSO_2025"}
    return Event(
        Place("hub.citizen.changed.v1", 2, offset), KEY, "person", outcome, None, "ninhbinh.dungchung", 1, version, DAY,
        KEY, 1, offset, DAY + timedelta(hours=offset), "ab" * 32, flags=int(Flag.LATE), values=envelope | values,
    )  # fmt: skip


def shown() -> Shown:
    claims = [
        claim("dancu", 0),
        replace(claim("hotich.quocgia", 1, full_name="Trần Văn Khác"), flags=int(Flag.NAME_NOT_NFC | Flag.LATE)),
        claim("namdinh.motcua", 2, birth_year=1991),
        replace(claim("ninhbinh.dungchung", 3), operation="REVOKE"),
    ]
    events = with_changes(
        [
            event(3, 1, pin="036899000001", full_name="Lê Thị Cũ", gender="FEMALE"),
            event(4, 2, pin="036899000001", full_name=NAME, gender="FEMALE"),
            replace(event(5, 3, Outcome.REJECTED), reason="VERSION_REUSED", parked_at=DAY),
            replace(event(6, 4), values=None),
        ],
        CITIZEN,
    )
    beside = Beside(
        questions=(
            Question("R4", "CONFLICT", "citizen.person", "", "full_name", "hotich.quocgia", DAY, None, {"n": NAME}),
            Question("R5", "AMBIGUOUS_UNIT", "citizen.residence", "PERMANENT", "action", "dancu", DAY, DAY, {}),
        ),
        same=(KEY, UUID(int=8)),
        canonical=KEY,
        links=(Link("PIN_REPLACED", KEY, UUID(int=8), "person", "dancu"),),
        named_by=(Naming("dossier", UUID(int=9), "applicant_pin"),),
        parked=(Waiting("residence.changed", "dancu", "admin_unit:GSO_2025|00004", DAY),),
        decisions=(
            Decided("CONFLICT", "citizen.person", "", "birth_year", "dancu", "KEEP", "H42-017", "seen", DAY, 1),
        ),
        rows={"deadline": ({"due_at": DAY, "paused": None},)},
    )
    return Shown(CITIZEN, KEY, (person(*claims),), beside, events=tuple(events), notes=("a note",))


def screen(shown: Shown, is_masked: bool = True) -> str:
    out = StringIO()
    console = Console(file=out, width=WIDTH, highlight=False, no_color=True)
    console.print(render(Answer(masked_shown(shown) if is_masked else shown, is_masked)))
    return out.getvalue()


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("is_masked", [True, False])
def test_screen_fits_its_width(is_masked: bool) -> None:
    assert max(len(line) for line in screen(shown(), is_masked).splitlines()) <= WIDTH


def test_nothing_personal_is_shown_masked_not_even_in_the_history_or_a_questions_detail() -> None:
    whole = screen(shown()) + json.dumps(as_json(Answer(masked_shown(shown()), True)), ensure_ascii=False)
    for personal in ("Nguyễn", "Tuyết", "Trần", "Lê Thị", "036899000001", "1990", "1991", "FEMALE", "ALIVE"):
        assert personal not in whole, personal
    assert MASK in whole


def test_differing_fields_are_marked_though_both_values_are_masked() -> None:
    lines = [line for line in screen(shown()).splitlines() if "full_name" in line and MASK in line]
    assert f"≠ {MASK}" in lines[0]
    told = as_json(Answer(masked_shown(shown()), True))["aspects"][0]["claims"]
    assert [one["differs"] for one in told] == [[], ["full_name"], ["birth_year"], []]


def test_screen_says_rule_versions_times_conflicts_and_what_stands_beside() -> None:
    text = one_line(screen(shown()))
    for said in (
        "record of dancu: higher authority than hotich.quocgia",
        "1.1751302800123456 UPDATE",
        "2025-06-01 07:00:00",
        "conflict open C12 birth_year: namdinh.motcua against dancu, since 2025-06-01 07:00",
        "conflict closed full_name: namdinh.motcua against dancu, since 2025-06-01 07:00 until 2025-06-04 07:00",
        "ninhbinh.dungchung withdrew it",
        "NAME_NOT_NFC",
        "R4 CONFLICT",
        "PIN_REPLACED",
        "KEEP CONFLICT citizen.person birth_year dancu - H42-017, 2025-06-01 07:00: seen",
        "applicant_pin",
        "waits for admin_unit:GSO_2025|00004",
        "due at 2025-06-01 07:00:00",
        "rejected VERSION_REUSED",
        "hub.citizen.changed.v1/2/4, policy abababab",
        "parked 2025-06-01 07:00:00 and released",
        "values not read",
        "note: a note",
    ):
        assert said in text, said


def test_history_tells_only_what_changed() -> None:
    text = one_line(screen(shown(), is_masked=False))
    assert f"UPDATE: full_name={NAME}" in text
    assert text.count("gender=FEMALE") == 1


def test_past_state_says_both_times_and_that_nobody_claimed_anything() -> None:
    of = replace(shown(), sides=(), limits=Limits(DAY, DAY + timedelta(hours=1)))
    text = one_line(screen(of))
    assert "what held at 2025-06-01 07:00:00 (valid time)" in text
    assert "as the hub knew it at 2025-06-01 08:00:00 (record time)" in text
    assert "no source says anything about it there" in text


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-07-01", "2025-07-01T16:59:59.999999+00:00"),
        ("2025-07-01T08:30", "2025-07-01T01:30:00+00:00"),
        ("2025-07-01T08:30:00+00:00", "2025-07-01T08:30:00+00:00"),
    ],
)
def test_day_means_all_of_it_in_vietnam_and_a_time_is_vietnams_unless_it_says_otherwise(text: str, utc: str) -> None:
    assert time_of(text, "--as-of").isoformat() == utc


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "01/07/2025"])
def test_what_is_no_time_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(ConfigError, match="--as-of"):
        time_of(text, "--as-of")
