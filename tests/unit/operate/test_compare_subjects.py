"""Which subjects of a source a comparison takes, and what it says of the others."""

import pytest

from connectors.declared.load import parse_declaration
from connectors.opening import open_context
from connectors.streams.context import Context
from hub.cli.connect.one_compare import subjects_of
from hub.model.errors import ConfigError

STREAM = """
[[stream]]
name = "{name}"
connector = "{kind}"
subject = "{subject}"
table = "bang"
key = ["id"]
version = "ban"
changed_at = "luc"
[stream.fields]
{fields}
"""
PROGRESS = 'dossier_code = "ma"\nstatus = "tt"'


def context_of(*streams: tuple[str, str, str, str]) -> Context:
    """Return the context of a declaration: name, connector, subject and fields of each stream."""
    head = '[source]\ncode = "x"\nagency = "H25"\nunit_scheme = "GSO_2025"\nurl = "sqlite://"\n'
    names = ("name", "kind", "subject", "fields")
    text = head + "".join(STREAM.format(**dict(zip(names, one, strict=True))) for one in streams)
    return open_context(parse_declaration(text.encode()), "a secret of the tests", {})


def test_source_of_outboxes_alone_is_not_called_equal() -> None:
    with pytest.raises(ConfigError, match="holds no state"):
        subjects_of(context_of(("changes", "outbox", "dossier.progressed", PROGRESS)), None)


def test_outbox_beside_tables_is_named_as_not_compared() -> None:
    context = context_of(
        ("people", "outbox", "citizen.changed", 'pin = "so"\nfull_name = "ten"'),
        ("cases", "table", "dossier.progressed", PROGRESS),
    )
    wanted, left = subjects_of(context, None)
    assert wanted == ["dossier.progressed"]
    assert left == {
        "citizen.changed": "people: an outbox reports changes and holds no state, so there is nothing to compare"
    }
    with pytest.raises(ConfigError, match="people: an outbox"):
        subjects_of(context, "people")
    with pytest.raises(ConfigError, match="there is no stream 'none'"):
        subjects_of(context, "none")
