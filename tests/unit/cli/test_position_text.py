"""Where a connector stands, in words: no raw position, and no key of a row."""

import pytest

from hub.cli.connect.position_text import position_text


@pytest.mark.parametrize(
    ("position", "said"),
    [
        (None, "nothing read yet"),
        ({"phase": "snapshot", "low": 761, "system": "77", "after": ["001299000123"]}, "first full read under way"),
        ({"phase": "snapshot", "mark": "2026-11-30T20:40:29+07:00"}, "first full read"),
        (
            {"phase": "changes", "mark": "2026-11-30T20:40:29+07:00", "read_as": "overlap 1494cf2d"},
            "changes up to 2026-11-30 20:40:29+07:00",
        ),
        ({"phase": "changes", "mark": None}, "changes; no row has a time yet"),
        ({"phase": "changes", "low": 7611, "system": "77"}, "changes below transaction 7,611"),
        ({"phase": "changes", "low": 5, "high": 9, "after": ["x"]}, "changes of transactions 5 to 8 under way"),
        (
            {
                "phase": "changes",
                "low": 5,
                "stepped_back": {"at": "2026-11-22T14:33:19+00:00", "read_again": "the whole table: it was emptied"},
            },
            "changes below transaction 5; stepped back 2026-11-22T14:33:19+00:00: read again the whole table: it was "
            "emptied",
        ),
        ({"phase": "another", "after": ["001299000123"], "n": 1}, '{"phase": "another", "n": 1}'),
    ],
)
def test_position_is_told_in_words(position: dict[str, object] | None, said: str) -> None:
    assert position_text(position) == said
