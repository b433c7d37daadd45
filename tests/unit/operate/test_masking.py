"""What a screen shows of a golden record: nothing personal."""

import json
from typing import Any

import pytest

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.codec.decode import MASK, decode, masked
from hub.codec.encode import Encoder
from hub.model.errors import PoisonError
from tests.support.schema_samples import sample_event

SECRET = "a secret of the tests"  # noqa: S105 - of no system
SUBJECTS = ("citizen.record", "dossier.record")


def classes(schema: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Data class of every field that has no fields of its own, by its path."""
    found: dict[tuple[str, ...], str] = {}
    for field in schema["fields"]:
        path = (*above, field["name"])
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        kinds = [kind["items"] if isinstance(kind, dict) and kind["type"] == "array" else kind for kind in kinds]
        nested = [kind for kind in kinds if isinstance(kind, dict) and kind["type"] == "record"]
        if nested:
            found |= classes(nested[0], path)
        else:
            found[path] = field["data_class"]
    return found


def leaves(value: Any, above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for name, part in value.items() for leaf in leaves(part, (*above, name))]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part, above)]
    return [(above, value)]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_i8_every_personal_or_sensitive_value_is_masked_and_no_other(subject: str) -> None:
    version = load_catalogue().latest(subject)
    fields = sample_event(version)
    shown = masked(fields, version.schema)
    kinds = classes(version.schema)
    before = leaves(fields)
    after = leaves(shown)
    assert len(before) == len(after) > 20
    for (path, value), (same_path, seen) in zip(before, after, strict=True):
        assert path == same_path
        assert seen == (MASK if kinds[path] in {"PERSONAL", "SENSITIVE"} else value), path


def test_null_stays_null() -> None:
    version = load_catalogue().latest("citizen.record")
    fields = sample_event(version, optional=False) | {"person": None}
    assert masked(fields, version.schema)["person"] is None


def test_field_without_a_class_of_its_own_is_masked() -> None:
    inner: Any = {"type": "record", "name": "x", "fields": [{"name": "a", "type": "string"}]}
    for data_class in ("SENSITIVE", "PUBLIC"):
        outer: Any = {"name": "outer", "type": ["null", inner], "data_class": data_class}
        assert masked({"outer": {"a": "value"}}, {"fields": [outer]}) == {"outer": {"a": MASK}}


def test_decode_returns_what_was_encoded() -> None:
    version = load_catalogue().latest("citizen.record")
    value = Encoder("citizen.record", SECRET).encode(sample_event(version))
    decoded_version, fields = decode(value)
    assert decoded_version.schema_id == version.schema_id
    assert set(fields) == {field["name"] for field in version.schema["fields"]}
    json.dumps(fields, default=str)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\x01\x00\x00\x00\x01", "BAD_MAGIC"),
        (wire.frame(987_654, b""), "UNKNOWN_SCHEMA_ID"),
        (wire.frame(load_catalogue().latest("citizen.record").schema_id, b"\x02"), "NOT_DECODABLE"),
    ],
)
def test_decode_says_why_it_cannot(value: bytes, reason: str) -> None:
    with pytest.raises(PoisonError) as refused:
        decode(value)
    assert refused.value.reason == reason
