"""The catalogue of procedures from the portal's answer: merged, read again, loaded again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.operate.procedures.publishing import plan_catalogue, source_that_may
from hub.operate.procedures.reading import read_file
from tests.support.whole_world import POLICY, Whole

pytestmark = pytest.mark.engine

SAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "lay-thu-tuc.json"
NOW = datetime(2025, 8, 1, tzinfo=UTC)


def test_portals_answer_is_merged_once_and_a_changed_one_as_the_next_version(whole: Whole, tmp_path: Path) -> None:
    source = source_that_may(POLICY, None, NOW)
    first = plan_catalogue(whole.engine, source, read_file(SAMPLE).rows, NOW)
    assert (first.new, first.changed, first.same) == (1, 0, 0)
    whole.send("procedure.changed", *first.events)
    (claim,) = whole.rows("SELECT name, level, channels FROM procedure_catalogue_claim")
    assert (claim.name, claim.level, claim.channels[0]["fee_vnd"]) == ("Đăng ký khai sinh", "COMMUNE", 0)

    again = plan_catalogue(whole.engine, source, read_file(SAMPLE).rows, NOW)
    assert (again.new, again.changed, again.same) == (0, 0, 1)

    other = tmp_path / "answer.json"
    other.write_text(SAMPLE.read_text("utf-8").replace('"SOTIEN": "0"', '"SOTIEN": "8.000"'), "utf-8")
    changed = plan_catalogue(whole.engine, source, read_file(other).rows, NOW)
    assert (changed.new, changed.changed, changed.same) == (0, 1, 0)
    whole.send("procedure.changed", *changed.events)
    assert whole.outcomes("procedure.changed") == ["applied", "applied"]
    assert whole.value("SELECT channels->0->>'fee_vnd' FROM procedure_catalogue_claim") == "8000"
