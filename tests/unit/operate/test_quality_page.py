"""docs/quality.md explains every flag."""

from pathlib import Path

import pytest

from hub.model.flags import Flag, StandingFlag

PAGE = (Path(__file__).parents[3] / "docs" / "quality.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*Flag.__members__, *StandingFlag.__members__])
def test_page_of_quality_explains_each_flag_once(name: str) -> None:
    assert sum(line.startswith(f"| `{name}` |") for line in PAGE.splitlines()) == 1
