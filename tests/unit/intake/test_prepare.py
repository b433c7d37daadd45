"""Preparing batches when schemas change under a running worker."""

from pathlib import Path
from typing import Any, cast

import pytest

from hub.codec.catalogue import load_catalogue
from hub.intake import prepare
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.errors import HubError
from hub.model.policies.policy import Policy
from hub.topology import event_topic
from tests.support.schema_folder import copy_of_schemas, optional_field, publish_next

SUBJECT = "citizen.changed"
FOLLOWING = load_catalogue().latest(SUBJECT).number + 1


class Idle:
    """A decoder that is only closed."""

    closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


def preparer(decoder: Idle) -> Preparer:
    return Preparer(cast(GuardedDecoder, decoder), SourceRules.of(Policy({}, ""), {}), "a secret of the tests")


def polled(subject: str) -> list[Polled]:
    return [Polled(1, event_topic(subject), 0, 0, [], [], [])]


def test_fields_of_a_new_version_are_not_left_out_in_silence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)

    def with_nickname(schema: dict[str, Any]) -> None:
        schema["fields"].append(optional_field("nickname"))

    publish_next(folder, SUBJECT, with_nickname)
    monkeypatch.setattr(prepare, "reload_catalogue", lambda: load_catalogue(folder))
    with pytest.raises(HubError, match=rf"version {FOLLOWING} of citizen\.changed .*nickname.* restart the worker"):
        preparer(Idle()).prepare_again(polled(SUBJECT))
    decoder = Idle()
    assert preparer(decoder).prepare_again(polled("residence.changed")).consumed == 0
    assert decoder.closed == 1


def test_version_without_new_fields_is_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "reload_catalogue", load_catalogue)
    decoder = Idle()
    assert preparer(decoder).prepare_again(polled(SUBJECT)).consumed == 0
    assert decoder.closed == 1


@pytest.mark.parametrize(
    ("offsets", "after", "next_offset"),
    [
        ([], -1, 5),
        ([], 9, 9),
        ([5], -1, 6),
        ([5, 6, 8], -1, 9),
        ([5, 6, 8], 9, 9),
        ([5, 6, 8], 12, 12),
    ],
)
def test_place_to_store_is_behind_the_last_record_and_the_markers_after_it(
    offsets: list[int], after: int, next_offset: int
) -> None:
    nothing = [None] * len(offsets)
    assert Polled(1, event_topic(SUBJECT), 0, 5, offsets, nothing, nothing, after).next_offset == next_offset
