"""The cases of failures are whole, and their expectations tell what is met from what is not."""

import ast
import re

import pytest

from hub.model.policies.policy import load_policy
from tests.faults.expected import CASES, NEEDS, ROOT, Case, See, all_cases
from tests.faults.seen import groups, main

ALL = all_cases()


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case_is_whole(case: Case) -> None:
    script = (CASES / case.name / "repro.py").read_text("utf-8")
    ast.parse(script)
    assert case.expected
    assert case.needs in NEEDS
    assert any(see.is_wanted for see in case.sees) or len(case.sees) > 1
    for see in case.sees:
        re.compile(see.pattern)
        assert see.what
        assert see.or_file is None or (ROOT / see.or_file).exists()


def test_policy_of_the_cases_can_be_read() -> None:
    assert "dancu" in load_policy(CASES / "policy.toml").sources


def test_case_is_met_when_all_is_seen_and_the_script_ended_well() -> None:
    case = Case("01-x", "engine", (See("there", "a.c", True), See("gone", "x", False)), 1)
    assert case.missed("a\nc", 0) == []
    assert case.missed("a\ncx", 0) == ["gone"]
    assert case.missed("", 0) == ["there"]
    assert case.missed("a\nc", 1) == ["the script ended with 1"]
    assert case.missed("a\nc", None) == ["the script did not end"]


def test_docs_may_answer_where_the_readme_says_so() -> None:
    assert See("x", "never", True, "README.md", "data-sharing hub").is_met("")
    assert not See("x", "never", True, "README.md", "no such words").is_met("")


def test_cases_that_break_an_engine_have_one_each() -> None:
    found = groups(ALL)
    assert sorted(case.name for group in found for case in group) == [case.name for case in ALL]
    assert all(len(group) == 1 for group in found[1:])
    assert [case.needs for case in found[0]] == sorted(case.needs for case in found[0])


def test_unknown_case_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["99"])
    assert ended.value.code == 2
    assert "no such case: 99" in capsys.readouterr().err


BEFORE = {
    "01": "rejects: no table yet\nwarehouse: [('F01-1', 150), ('F01-2', 1500), ('F01-3', 2)]",
    "09": "warehouse: [('F09-aborted',)]",
    "11": "warehouse: [('F11-1', True), ('F11-2', True), ('F11-3', True), ('F11-4', True), ('F11-5', True)]",
    "13": "source: [('Tên Ba',)] warehouse: [('Tên Hai',)]",
    "17": "worker: ended by itself, rc 1\n[('applied', None, 2), ('dead_lettered', 'INVALID_VALUE', 1)]",
    "36": "[('full_name', 'dancu', None)]",
    "38": "raw ESC [2J in the output: True",
}


@pytest.mark.parametrize("number", BEFORE)
def test_what_was_seen_before_is_not_met(number: str) -> None:
    (case,) = (case for case in ALL if case.number == number)
    assert case.missed(BEFORE[number], 0)
