"""Every alert has its section in the runbook, and what it tells an operator to do is a command that exists."""

import re
from pathlib import Path

import pytest

from hub.model.alerts import ALERTS, Alert, alert_named

RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def _section(name: str) -> str:
    found = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)
    return next((section for section in found if section.splitlines()[0] == name), "")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_has_a_section_with_real_output(alert: Alert) -> None:
    section = _section(alert.name)
    assert section, f"docs/runbook.md has no section {alert.name}"
    assert "```\n$ hub " in section


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_names_a_command_that_exists(alert: Alert) -> None:
    command = " ".join(word for word in alert.do.split() if word.islower() and not word.startswith("-"))
    assert f"| `{command}` |" in README


def test_alert_is_found_by_its_name() -> None:
    assert alert_named("partition_stopped") in ALERTS
    assert alert_named("of another version") is None
