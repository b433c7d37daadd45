"""What ``hub connect run`` and ``rejects`` say of their figures, in the output itself."""

import pytest

from connectors.running.run import StreamCounts
from hub.cli.connect.commands import print_counts
from hub.cli.connect.rejects import print_rejects


def test_output_says_what_published_counts(capsys: pytest.CaptureFixture[str]) -> None:
    print_counts("tinh.motcua", [StreamCounts("progress", published=66)], as_json=False)
    told = " ".join(capsys.readouterr().out.split())
    assert "published: events of this run; a row that is read twice" in told
    assert "so it can be more than the source has rows" in told


def test_no_rejects_before_anything_was_read_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rejects("tinh.motcua", [], is_read=False)
    assert "no rejects; nothing was read yet: `hub connect check DECLARATION.toml --all`" in capsys.readouterr().out
    print_rejects("tinh.motcua", [])
    assert capsys.readouterr().out == "tinh.motcua: no rejects\n"
