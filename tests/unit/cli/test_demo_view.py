"""The demo's account: its verdict and its width."""

import dataclasses
import io
import json

from rich.console import Console

from hub.cli.demo.view import render
from hub.demo.portal import Shown
from hub.demo.report import Outage, Report, report_object
from hub.model.flags import Flag
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import LedgerRow
from hub.operate.ledger.quality import Quality, SourceQuality
from hub.topology import merged_topics


def _report() -> Report:
    topics = merged_topics()
    outcomes = dict.fromkeys(Outcome, 475_310 // len(topics))
    total = sum(outcomes.values())
    return Report(
        ledger=tuple(LedgerRow(topic, number, 0, total, total, outcomes) for topic in topics for number in (0, 1)),
        ends={(topic, number): total for topic in topics for number in (0, 1)},
        portal=(Shown("citizen", 3_000_000, 3_000_000, 0), Shown("dossier", 600_000, 600_000, 0)),
        conflicts={"citizen.person": 750, "dossier.submission": 3},
        conflicts_closed=100,
        reviews={"AMBIGUOUS_UNIT": 1_003, "POSSIBLE_DUPLICATE_PERSON": 2},
        quality=Quality((SourceQuality("namdinh.motcua", 12, {Flag.PLACEHOLDER_ID: 12}),), {"DECEASED_PAYEE": 10}),
        decided=4,
        released=80,
        dead_letters=10,
        reasons={"rejected": {"AFTER_CUT_OVER": 127, "VERSION_REUSED": 1}, "dead_lettered": {"TOO_LARGE": 1}},
        set_aside=3,
        outages=(Outage("PostgreSQL stopped and started", 5.25), Outage("worker killed and started", 8.0)),
        busy_s=40.0,
        wall_s=70.0,
    )


def _printed(report: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(render(report))
    return out.getvalue()


def test_render_fits_100_columns_without_cutting() -> None:
    text = _printed(_report())
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "health_insurance.linked" in text
    assert "balanced, and the portal shows what the hub holds" in text


def test_render_says_so_when_a_record_has_no_outcome() -> None:
    report = _report()
    line = dataclasses.replace(report.ledger[0], consumed=report.ledger[0].consumed + 1)
    broken = dataclasses.replace(report, ledger=(line, *report.ledger[1:]))
    assert not broken.is_balanced
    assert "the ledger is not balanced" in _printed(broken)


def test_report_is_not_balanced_when_the_log_holds_more() -> None:
    report = _report()
    first = report.ledger[0]
    more = {**report.ends, (first.topic, first.partition): first.next_offset + 1}
    assert report.is_balanced
    assert not dataclasses.replace(report, ends=more).is_balanced


def test_render_says_so_when_the_portal_differs() -> None:
    broken = dataclasses.replace(_report(), portal=(Shown("citizen", 10, 10, 2),))
    assert not broken.is_portal_equal
    assert "the portal differs from the warehouse" in _printed(broken)


def test_report_object_names_the_seven_outcomes() -> None:
    found = json.loads(json.dumps(report_object(_report())))
    expected = {"topic", "partition", "consumed", *(outcome.value for outcome in Outcome)}
    assert set(found["ledger"][0]) >= expected
    assert found["balanced"] is True
    assert found["records"] == found["portal_records"] == 3_600_000
