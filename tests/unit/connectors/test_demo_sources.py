"""The demo's policy, its declarations, and rows for every column they name."""

import re
from pathlib import Path

import pytest

from connectors.declared.load import load_declaration
from hub.demo import default_policy_path
from hub.demo.stage import SOURCES
from hub.demo.story import make_story
from hub.model.policies.policy import load_policy

FOLDER = Path(str(SOURCES["dancu"].__file__)).parent
DECLARATIONS = sorted(FOLDER.glob("*.toml"))


def _columns(database: str) -> dict[str, set[str]]:
    text = re.sub(r"--.*", "", (FOLDER / f"{database}.sql").read_text(encoding="utf-8"))
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", text, re.DOTALL)
    return {name: set(re.findall(r"^\s+([a-z_]+) [a-z]", body, re.MULTILINE)) for name, body in tables}


def test_every_source_database_has_a_declaration() -> None:
    assert {path.stem for path in DECLARATIONS} == {*SOURCES, "dancu-2025"}


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: path.stem)
def test_declaration_speaks_of_what_the_policy_lets_its_source_speak_of(path: Path) -> None:
    declaration = load_declaration(path)
    source = load_policy(default_policy_path()).sources[declaration.code]
    assert {stream.subject for stream in declaration.streams} <= source.subjects
    assert declaration.agency == source.agency


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: path.stem)
def test_declaration_names_columns_that_its_tables_have(path: Path) -> None:
    tables = _columns(path.stem.removesuffix("-2025"))
    for stream in load_declaration(path).streams:
        named = {*stream.key, *stream.where, *filter(None, (stream.version, stream.changed_at, stream.payload))}
        for rule in stream.fields:
            named |= set(rule.columns)
        assert named <= tables[stream.table], stream.name


@pytest.mark.parametrize("name", SOURCES)
def test_rows_fit_their_tables(name: str) -> None:
    story, tables = make_story(0.01), _columns(name)
    for table in (*SOURCES[name].before(story), *SOURCES[name].after(story)):
        assert set(table.columns) <= tables[table.table]
        for row in table.rows:
            assert len(row) == len(table.columns)


def test_old_systems_end_when_the_new_one_begins() -> None:
    sources = load_policy(default_policy_path()).sources
    midnight = sources["ninhbinh.dungchung"].valid_from
    assert midnight is not None
    assert {sources[f"{name}.motcua"].valid_until for name in ("hanam", "namdinh", "ninhbinh")} == {midnight}
