"""The policy file: what it says, and every problem of it at once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.cli.context import policy_path
from hub.config import Settings
from hub.model.entities import Role
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.policy import load_policy, parse_policy
from hub.warehouse.sources import policy_problems

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
        ('agency = "H25"', "", "agency is missing"),
        ('agency = "H25"', "agency = 25", "agency must be a text"),
        ('role = "province"', 'role = "king"', "role 'king' is none of population, civil_status"),
        ('role = "province"', 'role = ["province"]', "role ['province'] is none of"),
        ('"dossier.submitted"', '"dossier.opened"', "unknown subject 'dossier.opened'"),
        ('["dossier.submitted", "dossier.progressed"]', '"dossier.submitted"', "subjects must be a list"),
        ('"GSO_2004"', '"GSO_1976"', "unit_scheme 'GSO_1976' is none of GSO_2004, GSO_2025"),
        ('"Asia/Ho_Chi_Minh"', '"Asia/Thang_Long"', "time_zone 'Asia/Thang_Long' is unknown"),
        ('"Asia/Ho_Chi_Minh"', '"../etc"', "time_zone '../etc' is unknown"),
        ("2020-01-01T00:00:00+07:00", "2020-01-01T00:00:00", "valid_from must be a time with its offset"),
        ("2025-07-01T00:00:00+07:00", "2025-07-01", "valid_until must be a time with its offset"),
        ("2025-07-01T00:00:00+07:00", "2020-01-01T00:00:00+07:00", "valid_from must be before valid_until"),
        ("valid_until", "valid_to", "unknown field 'valid_to'"),
    ],
)
def test_problem_is_named(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    (found,) = problems_of(GOOD.replace(old, new))
    assert problem in found


def test_every_problem_of_every_source_is_listed_with_its_source() -> None:
    wrong = '[[source]]\ncode = "x"\nrole = "king"\nsubjects = ["no.such"]\nwhat = 1\n'
    assert problems_of(wrong + GOOD + GOOD + '[[source]]\nagency = "H1"\nsubjects = []\nrole = "portal"') == [
        "p: source x: unknown field 'what'",
        "p: source x: agency is missing",
        "p: source x: unknown subject 'no.such'",
        f"p: source x: role 'king' is none of {', '.join(Role)}",
        "p: source hanam.motcua: declared twice",
        "p: source number 4: code is missing",
    ]


@pytest.mark.parametrize("text", ["", "[[sources]]\ncode = 1", '[source]\ncode = "a"', "source = 1", "source = [1]"])
def test_policy_without_a_source_is_refused(text: str) -> None:
    assert problems_of(text)[-1] == "p: declares no source; each begins with [[source]]"


@pytest.mark.parametrize("raw", [b"[[source", b"\xff"])
def test_file_that_is_not_toml_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse_policy(raw)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_policy(tmp_path / "policy.toml")


def test_policy_of_the_demo_is_good_and_is_the_default() -> None:
    policy = load_policy(policy_path(Settings()))
    assert policy_problems(policy) == []
    assert policy_path(Settings(policy=Path("other.toml"))) == Path("other.toml")
