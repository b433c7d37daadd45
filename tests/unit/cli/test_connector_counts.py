"""What ``hub connect run`` says of its figures, in the output itself."""

import pytest

from connectors.running.run import StreamCounts
from hub.cli.connect.commands import print_counts


def test_output_says_what_published_counts(capsys: pytest.CaptureFixture[str]) -> None:
    print_counts("tinh.motcua", [StreamCounts("progress", published=66)], as_json=False)
    told = " ".join(capsys.readouterr().out.split())
    assert "published: events of this run; a row that is read twice" in told
    assert "so it can be more than the source has rows" in told
