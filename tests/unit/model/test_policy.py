"""The policy file: what it says, and every problem of it at once."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.cli.shared.context import policy_path
from hub.config import Settings
from hub.model.declaration import Role
from hub.model.entities import ENTITIES, SUBJECTS
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.policies.changes import Change, policy_changes, rederived
from hub.model.policies.policy import FIELDS, EventOrder, Policy, load_policy, parse_policy
from hub.model.policies.ranks import Rank, policy_problems, ranks

GOOD = """
[[source]]
code = "hanam.motcua"
agency = "H25"
role = "province"
subjects = ["dossier.submitted", "dossier.progressed"]
unit_scheme = "GSO_2004"
time_zone = "Asia/Ho_Chi_Minh"
valid_from = 2020-01-01T00:00:00+07:00
valid_until = 2025-07-01T00:00:00+07:00
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_policy(text.encode(), "p")
    return list(refused.value.problems)


def test_policy_gives_each_source_with_times_in_utc() -> None:
    policy = parse_policy(GOOD.encode())
    source = policy.sources["hanam.motcua"]
    assert (source.agency, source.role, source.unit_scheme) == ("H25", Role.PROVINCE, UnitScheme.GSO_2004)
    assert source.subjects == {"dossier.submitted", "dossier.progressed"}
    assert source.valid_from == datetime(2019, 12, 31, 17, tzinfo=UTC)
    assert source.valid_until == datetime(2025, 6, 30, 17, tzinfo=UTC)
    assert source.valid_until.tzinfo is UTC


def test_policy_needs_code_agency_role_and_subjects_only() -> None:
    text = '[[source]]\ncode = "a"\nagency = "b"\nrole = "portal"\nsubjects = []'
    source = parse_policy(text.encode()).sources["a"]
    assert (source.valid_from, source.valid_until, source.unit_scheme) == (None, None, UnitScheme.GSO_2025)


def test_digest_is_that_of_the_bytes() -> None:
    assert parse_policy(GOOD.encode()).digest == parse_policy(GOOD.encode()).digest
    assert parse_policy(GOOD.encode()).digest != parse_policy((GOOD + "\n").encode()).digest


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('code = "hanam.motcua"', "code = 5", "code must be a text"),
        ('code = "hanam.motcua"', 'code = " "', "code must be a text"),
        ('agency = "H25"', "", 'agency is missing: e.g. agency = "H25"'),
        ('agency = "H25"', "agency = 25", "agency must be a text"),
        ('role = "province"', 'role = "king"', "role 'king' is none of population, civil_status"),
        ('role = "province"', 'role = "provinces"', "officer; did you mean 'province'?"),
        ('role = "province"', 'role = ["province"]', "role ['province'] is none of"),
        ('"dossier.submitted"', '"dossier.opened"', "unknown subject 'dossier.opened'"),
        ('["dossier.submitted", "dossier.progressed"]', '"dossier.submitted"', "subjects must be a list"),
        ('"GSO_2004"', '"GSO_1976"', "unit_scheme 'GSO_1976' is none of GSO_2004, GSO_2025"),
        ('"Asia/Ho_Chi_Minh"', '"Asia/Thang_Long"', "time_zone 'Asia/Thang_Long' is unknown"),
        ('"Asia/Ho_Chi_Minh"', '"../etc"', "time_zone '../etc' is unknown"),
        ("2020-01-01T00:00:00+07:00", "2020-01-01T00:00:00", "valid_from must be a time with its offset"),
        ("2025-07-01T00:00:00+07:00", "2025-07-01", "valid_until must be a time with its offset"),
        ("2025-07-01T00:00:00+07:00", "2020-01-01T00:00:00+07:00", "valid_from must be before valid_until"),
        ("valid_until", "valid_util", "unknown field 'valid_util'; did you mean 'valid_until'"),
        ("subjects", "subject", "unknown field 'subject'; did you mean 'subjects'?"),
        ("time_zone", "zone_of_time", "unknown field 'zone_of_time'; there are agency, authority, code, order, role,"),
        ('"dossier.submitted"', '"dossier.submited"', "subject 'dossier.submited'; did you mean 'dossier.submitted'"),
        ('unit_scheme = "GSO_2004"', 'order = "luck"', "order 'luck' is none of version, time"),
        ('unit_scheme = "GSO_2004"', "authority = 1", "authority must be a table: [source.authority]"),
        ('unit_scheme = "GSO_2004"', 'authority = {"dossier.price" = 1}', "authority: unknown aspect 'dossier.price'"),
        (
            'unit_scheme = "GSO_2004"',
            'authority = {"citizen.person" = 1}',
            "authority: citizen.person is of citizen.changed, which is none of the source's subjects",
        ),
        (
            'unit_scheme = "GSO_2004"',
            'authority = {"dossier.progress" = -1}',
            "authority: the rank of dossier.progress must be a whole number, 0 to 32767",
        ),
        (
            'unit_scheme = "GSO_2004"',
            'authority = {"dossier.progress" = true}',
            "authority: the rank of dossier.progress must be a whole number, 0 to 32767",
        ),
    ],
)
def test_problem_is_named(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    found = [one for one in problems_of(GOOD.replace(old, new)) if "subjects is missing" not in one]
    assert len(found) == 1
    assert problem in found[0]


def test_every_problem_of_every_source_is_listed_with_its_source() -> None:
    wrong = '[[source]]\ncode = "x"\nrole = "king"\nsubjects = ["no.such"]\nwhat = 1\n'
    assert problems_of(wrong + GOOD + GOOD + '[[source]]\nagency = "H1"\nsubjects = []\nrole = "portal"') == [
        f"p: source x: unknown field 'what'; there are {', '.join(FIELDS)}",
        'p: source x: agency is missing: e.g. agency = "H25"',
        f"p: source x: unknown subject 'no.such'; there are {', '.join(sorted(SUBJECTS))}",
        f"p: source x: role 'king' is none of {', '.join(Role)}",
        "p: source hanam.motcua: declared twice",
        'p: source number 4: code is missing: e.g. code = "hanam.motcua"',
    ]


@pytest.mark.parametrize("text", ["", "[[sources]]\ncode = 1", '[source]\ncode = "a"', "source = 1", "source = [1]"])
def test_policy_without_a_source_is_refused(text: str) -> None:
    assert problems_of(text)[-1] == "p: declares no source; each begins with [[source]]"


@pytest.mark.parametrize("raw", [b"[[source", b"\xff"])
def test_file_that_is_not_toml_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse_policy(raw)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quality = 1", "p: quality must be a table: [quality]"),
        ("parking = 1", "p: parking must be a table: [parking]"),
        ("[parking]\ndeadline_hours = 0", "p: parking: deadline_hours must be a whole number of hours, 1 to 8760"),
        ("[parking]\ndeadline_hours = true", "p: parking: deadline_hours must be a whole number of hours, 1 to 8760"),
        ("[parking]\nhours = 3", "p: parking: unknown field 'hours'; there are deadline_hours"),
        ("[brake]\nrun = 3", "p: unknown field 'brake'; did you mean 'breaker'?"),
        (
            "[quality]\nlate_after_hour = 3",
            "p: quality: unknown field 'late_after_hour'; did you mean 'late_after_hours'?",
        ),
        ('[quality]\noff = ["LATER"]', "p: quality: unknown flag 'LATER'; did you mean 'LATE'?"),
    ],
)
def test_problem_of_a_table_is_named(text: str, problem: str) -> None:
    assert problems_of(f"{text}\n{GOOD}") == [problem]


def test_tables_of_quality_and_parking_are_read() -> None:
    policy = parse_policy(f"{GOOD}\n[quality]\nlate_after_hours = 30\n[parking]\ndeadline_hours = 5".encode())
    assert (policy.quality, policy.parking_deadline_h) == ({"late_after_hours": 30}, 5)
    plain = parse_policy(GOOD.encode())
    assert (plain.quality, plain.parking_deadline_h, plain.document) == ({}, 72, GOOD)


def with_authority(ranks: str) -> Policy:
    return parse_policy(GOOD.encode() + ranks.encode())


def test_rank_of_the_policy_goes_before_that_of_the_role() -> None:
    assert list(ranks(with_authority(""))) == [
        Rank("dossier.submission", "hanam.motcua", 1),
        Rank("dossier.progress", "hanam.motcua", 0),
    ]
    for text in ('[source.authority]\n"dossier.submission" = 0', "[source.authority]\ndossier.submission = 0"):
        assert next(ranks(with_authority(text))) == Rank("dossier.submission", "hanam.motcua", 0)


def test_rank_gives_authority_to_a_role_that_has_none() -> None:
    text = '[[source]]\ncode = "a"\nagency = "b"\nrole = "portal"\nsubjects = ["citizen.changed"]\n'
    assert policy_problems(parse_policy(text.encode())) == [
        "policy: source a: role portal has no authority in citizen.changed"
    ]
    assert policy_problems(parse_policy(f'{text}[source.authority]\n"citizen.person" = 7'.encode())) == []


def test_changes_name_source_field_and_both_values() -> None:
    before = with_authority("")
    text = GOOD.replace('"H25"', '"H42"').replace("2025-07-01T00:00:00+07:00", "2025-08-01T00:00:00+00:00")
    text = text.replace('"dossier.submitted", ', "") + 'order = "time"\n[source.authority]\n"dossier.progress" = 3\n'
    after = parse_policy((text + '[[source]]\ncode = "x"\nagency = "H1"\nrole = "portal"\nsubjects = []').encode())
    changes = policy_changes(before, after)
    assert changes == (
        Change("hanam.motcua", "agency", "H25", "H42"),
        Change("hanam.motcua", "valid_until", "2025-06-30T17:00:00+00:00", "2025-08-01T00:00:00+00:00"),
        Change("hanam.motcua", "order", "version", "time"),
        Change("hanam.motcua", "subjects", "dossier.submitted", None),
        Change("hanam.motcua", "rank in dossier.progress", "0", "3"),
        Change("hanam.motcua", "rank in dossier.submission", "1", None),
        Change("x", "source", None, "portal of H1"),
    )
    assert after.sources["hanam.motcua"].order is EventOrder.TIME
    assert str(changes[4]) == "hanam.motcua: rank in dossier.progress: 0 -> 3"


def test_changed_rank_is_decided_anew_in_its_aspect_and_cut_over_in_every_one() -> None:
    before = with_authority("")
    assert policy_changes(before, parse_policy((GOOD + "# a remark\n").encode())) == ()
    ranked = rederived(policy_changes(before, with_authority('[source.authority]\n"dossier.progress" = 3')))
    assert ranked == {"dossier.progress": {"hanam.motcua"}}
    moved = parse_policy(GOOD.replace("2025-07-01", "2025-08-01").encode())
    assert {"citizen.person", "dossier.progress"} <= rederived(policy_changes(before, moved)).keys()


def test_settings_of_the_policy_are_changes_too() -> None:
    after = with_authority("[quality]\nlate_after_hours = 3\n[parking]\ndeadline_hours = 1")
    assert [str(change) for change in policy_changes(with_authority(""), after)] == [
        "policy: parking.deadline_hours: 72 -> 1",
        "policy: quality.late_after_hours: none -> 3",
    ]


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_policy(tmp_path / "policy.toml")


def test_policy_of_the_demo_is_good_and_is_the_default() -> None:
    policy = load_policy(policy_path(Settings()))
    assert policy_problems(policy) == []
    assert policy_path(Settings(policy=Path("other.toml"))) == Path("other.toml")


PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text("utf-8")


def test_page_lists_every_role_with_what_it_may_hold_and_its_rank() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*) \|$", PAGE, re.MULTILINE))
    ranks = {
        role.value: ", ".join(
            f"`{aspect.subject}` {aspect.authority.index(role)}"
            for entity in ENTITIES
            for aspect in entity.aspects
            if role in aspect.authority
        )
        for role in Role
    }
    assert {name: cell for name, cell in rows.items() if name in ranks} == ranks


def test_page_gives_an_example_of_every_field_and_says_which_are_required() -> None:
    section = PAGE.split("## The fields of a source")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| `([^`]+)` \|", section, re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(FIELDS)
    assert {name for name, required, _ in rows if required == "yes"} == {"code", "agency", "role", "subjects"}
    lines = [example for name, _, example in rows if name != "authority"]
    policy = parse_policy("\n".join(["[[source]]", *lines]).encode())
    assert len(policy.sources) == 1
