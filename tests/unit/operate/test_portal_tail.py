"""What ``hub portal tail --json`` prints: keys as hexadecimal text, times by RFC 3339, no form of Python's own."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from hub.cli.share import commands as share
from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.codec.encode import Encoder
from hub.share.tail import PortalRecord, json_value
from hub.topology import record_topics
from tests.support.schema_samples import sample_event

KEY = UUID("00112233-4455-6677-8899-aabbccddeeff")
HEX = "00112233445566778899aabbccddeeff"


def test_keys_times_and_days_have_a_form_of_json_however_deep_they_are() -> None:
    at = datetime(2026, 3, 1, 7, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=7)))
    value = {"key": KEY.bytes, "parts": [{"at": at, "day": date(2026, 3, 1), "ids": (KEY,)}], "is": True, "none": None}
    assert json_value(value) == {
        "key": HEX,
        "parts": [{"at": "2026-03-01T00:30:00.250000Z", "day": "2026-03-01", "ids": [HEX]}],
        "is": True,
        "none": None,
    }


def test_a_value_without_a_form_is_an_error_and_never_a_text_of_python() -> None:
    with pytest.raises(TypeError, match="complex"):
        json_value({"part": [1j]})


@pytest.mark.parametrize("records", list(record_topics()))
def test_each_published_schema_prints_as_json_without_a_form_of_pythons(
    records: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = load_catalogue().latest(f"{records}.record")
    _, fields = decode(Encoder(version.subject, "a secret of the tests").encode(sample_event(version, key=KEY.bytes)))
    found = PortalRecord(record_topics()[records], 1, 7, KEY, fields, "2026-03-01T00:30:00.000000Z", "a/0/3")
    monkeypatch.setattr(share, "located", lambda: (None, _Places()))
    monkeypatch.setattr(share, "tail", lambda *_, **__: iter([found]))
    share.portal_tail(records, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["key"], printed["fields"]["key"]) == (HEX, HEX)
    assert (printed["published_at"], printed["position"]) == ("2026-03-01T00:30:00.000000Z", "a/0/3")
    texts = list(_texts(printed))
    assert not [text for text in texts if text.startswith(("b'", 'b"', "UUID(", "datetime"))]
    assert not [text for text in texts if text[4:5] == "-" and text[10:11] == " "]
    share.portal_tail(records)
    shown = capsys.readouterr().out
    assert HEX in shown
    assert "published 2026-03-01T00:30:00.000000Z; changed by a/0/3" in shown
    assert "None" not in shown
    assert "b'" not in shown
    long = replace(found, position="hub.dossier.submitted.v1/12/1234567", fields={"source": None})
    monkeypatch.setattr(share, "tail", lambda *_, **__: iter([long]))
    share.portal_tail(records)
    lines = capsys.readouterr().out.splitlines()
    assert "    published 2026-03-01T00:30:00.000000Z; changed by hub.dossier.submitted.v1/12/1234567" in lines
    assert "    source: -" in lines


class _Places:
    bootstrap = "nobody:1"


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def test_times_end_in_z() -> None:
    assert json_value(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00Z"
