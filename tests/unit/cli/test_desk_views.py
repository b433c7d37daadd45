"""What the commands of the policy and of the desk print: all of it, within 100 columns."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from hub.cli.desk.policy import _print, _sources
from hub.cli.desk.review import _listed
from hub.cli.shared.context import policy_path
from hub.config import Settings
from hub.model.decisions import Decision, ReviewId, ReviewKind, Verdict
from hub.model.policies.changes import policy_changes
from hub.model.policies.policy import load_policy, parse_policy
from hub.operate.desk.policy import AspectChange, PolicyPlan
from hub.operate.records.questions import Noted, Question

WIDTH = 100
KEY = UUID(int=7)


def printed(what: RenderableType) -> str:
    console = Console(width=WIDTH, highlight=False)
    with console.capture() as capture:
        console.print(what)
    assert all(len(line) <= WIDTH for line in capture.get().splitlines())
    return capture.get()


def of(kind: ReviewKind = ReviewKind.CONFLICT, part: str = "") -> ReviewId:
    return ReviewId(kind, "citizen.person", KEY, part, "civil_status_doc_number", "ninhbinh.dungchung")


def test_policy_shows_every_source_with_its_ranks_and_cut_over() -> None:
    policy = load_policy(policy_path(Settings()))
    shown = printed(_sources(policy))
    assert "…" not in shown
    assert all(code in shown for code in policy.sources)
    assert "dossier.submission 1" in shown
    assert "until 2025-06-30 17:00" in shown


def test_plan_shows_changes_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    before = load_policy(policy_path(Settings()))
    after = parse_policy(before.document.replace('"H25"', '"H99"').encode())
    aspects = (AspectChange("dossier.progress", 12_000, 340, 56, 7),)
    _print(PolicyPlan(before.digest, after.digest, policy_changes(before, after), aspects, False), as_json=False)
    shown = capsys.readouterr().out
    for told in ("hanam.motcua", "agency", "H25", "H99", "12,000", "340", "56"):
        assert told in shown
    assert "applied" not in shown


def test_list_shows_each_question_with_its_number_age_and_what_was_noted() -> None:
    now = datetime.now(UTC)
    noted = Noted("WAIT", "H42-017", "asked the commune", now)
    shown = printed(
        _listed(
            [
                Question("C123456", of(), "dancu", now - timedelta(hours=30), True, None),
                Question("R12", of(ReviewKind.POSSIBLE_DUPLICATE_PERSON), None, now - timedelta(days=30), True, noted),
            ]
        )
    )
    for told in ("C123456", "30 h", "30 d", "POSSIBLE_DUPLICATE_PERSON", "WAIT", "H42-017"):
        assert told in shown


def test_decision_is_keyed_by_what_it_is_about_and_nothing_else() -> None:
    keys = {of().review_key, of(part="PERMANENT").review_key, of(ReviewKind.BACKWARD_STATUS).review_key}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    made = [
        Decision(of(), verdict, "CB01", "seen", datetime(2025, 7, 1, 0, 0, 0, 5, tzinfo=UTC))
        for verdict in (Verdict.KEEP, Verdict.TAKE)
    ]
    assert {decision.of.review_key for decision in made} == {of().review_key}
    event = made[0].event("hub.desk", "G00")
    assert (event["source_version"], event["review_key"]) == (1_751_328_000_000_005, of().review_key)
