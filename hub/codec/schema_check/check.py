"""Check a folder of schemas: ids, naming rules, and compatibility of every version with every ancestor (I6).

One run finds all problems. The rules for one file are in ``hub.codec.schema_check.rules``, the rules between versions
in ``hub.codec.schema_check.compatibility``.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.codec.catalogue import FIRST_ID, IDS_FILE, PublishedId, fingerprint, read_files, read_ids
from hub.codec.schema_check import compatibility, rules, symbols, value_kinds
from hub.codec.schema_check.declared import declared_problems
from hub.codec.schema_check.problems import Problem, Rule
from hub.model.envelope import ENVELOPE_FIELDS
from hub.topology import HEAD_SUBJECT, all_subjects, record_topics

_MAX_ID = 2**31 - 1
LAST_ID_WITHOUT_LENGTHS = 1017
"""Event schemas with this id or a smaller one may have texts without ``max_length``."""
LAST_ID_WITHOUT_NAMES_OF_SYMBOLS = 1045
"""Schemas with this id or a smaller one may have symbols without ``vn_names``."""
LAST_ID_WITHOUT_KINDS = 1032
"""Event schemas with this id or a smaller one may have values without a ``kind``."""

Files = Mapping[tuple[str, int], Mapping[str, Any]]


def check_folder(folder: Path) -> tuple[Problem, ...]:
    """Return every problem of a schemas folder, ordered by subject, version and field; empty if there is none."""
    unreadable: list[str] = []
    files = read_files(folder, unreadable)
    ids = read_ids(folder, unreadable)
    found = [Problem("", 0, Rule.PARSE, message) for message in unreadable]
    found += _id_problems(files, ids)
    found += _subject_problems({subject for subject, _ in files})
    found += _numbering_problems(files)
    found += _envelope_drift(files)
    found += _length_problems(files, ids)
    found += _kind_problems(files, ids)
    found += _symbol_problems(files, ids)
    for (subject, number), schema in files.items():
        found += rules.problems_of(subject, number, schema)
        ancestors = {old: files[subject, old] for old in range(1, number) if (subject, old) in files}
        for old, ancestor in ancestors.items():
            found += compatibility.problems_between(subject, (old, ancestor), (number, schema))
    for subject, number in _newest(files).items():
        found += declared_problems(subject, number, files[subject, number])
    return tuple(sorted(set(found), key=lambda problem: (problem.subject, problem.number, problem.field, problem.rule)))


def _newest(files: Files) -> dict[str, int]:
    """Return the newest version of each subject."""
    return {subject: number for subject, number in sorted(files)}


def _id_problems(files: Files, ids: Mapping[tuple[str, int], PublishedId]) -> list[Problem]:
    found = []
    counts = Counter(entry.schema_id for entry in ids.values())
    for (subject, number), entry in ids.items():
        if (subject, number) not in files:
            found.append(Problem(subject, number, Rule.ID, f"{IDS_FILE} has it, but its file is gone"))
        elif fingerprint(files[subject, number]) != entry.fingerprint:
            message = "was edited after it was published; publish a further version instead"
            found.append(Problem(subject, number, Rule.EDITED, message))
        if counts[entry.schema_id] > 1:
            found.append(Problem(subject, number, Rule.ID, f"id {entry.schema_id} is given twice"))
        if not FIRST_ID <= entry.schema_id <= _MAX_ID:
            found.append(Problem(subject, number, Rule.ID, f"id {entry.schema_id} is not in {FIRST_ID}..{_MAX_ID}"))
    for subject, number in files:
        if (subject, number) not in ids:
            found.append(Problem(subject, number, Rule.ID, "has no id; `hub schemas assign --execute` gives it one"))
    return found


def _subject_problems(present: set[str]) -> list[Problem]:
    expected = {*all_subjects(), HEAD_SUBJECT, *(f"{name}.record" for name in record_topics())}
    missing = [Problem(subject, 0, Rule.NAME, "has no schema") for subject in expected - present]
    unknown = [Problem(subject, 0, Rule.NAME, "is declared nowhere") for subject in present - expected]
    return missing + unknown


def _numbering_problems(files: Files) -> list[Problem]:
    return [
        Problem(subject, number, Rule.NAME, f"v{number - 1}.avsc is missing")
        for subject, number in files
        if number > 1 and (subject, number - 1) not in files
    ]


def _length_problems(files: Files, ids: Mapping[tuple[str, int], PublishedId]) -> list[Problem]:
    """Find texts of events without a maximum length: a text without a limit fits into no index."""
    return [
        Problem(subject, number, Rule.LENGTH, "is a text without max_length", path)
        for (subject, number), schema in files.items()
        if not rules.is_record(subject) and not _is_older((subject, number), ids)
        for path in rules.texts_without_length(schema)
    ]


def _kind_problems(files: Files, ids: Mapping[tuple[str, int], PublishedId]) -> list[Problem]:
    """Every text and number of an event names its kind: a rule that hangs on a field's name misses the next name."""
    return [
        Problem(subject, number, Rule.KIND, message, path)
        for (subject, number), schema in files.items()
        if not rules.is_record(subject) and not _is_older((subject, number), ids, LAST_ID_WITHOUT_KINDS)
        for path, message in value_kinds.lacking_kinds(schema)
    ]


def _symbol_problems(files: Files, ids: Mapping[tuple[str, int], PublishedId]) -> list[Problem]:
    """Every symbol says what it is called."""
    return [
        Problem(subject, number, Rule.LABEL, "has symbols without a name in vn_names", path)
        for (subject, number), schema in files.items()
        if not _is_older((subject, number), ids, LAST_ID_WITHOUT_NAMES_OF_SYMBOLS)
        for path in symbols.lists_without_names(schema)
    ]


def _is_older(
    key: tuple[str, int], ids: Mapping[tuple[str, int], PublishedId], last: int = LAST_ID_WITHOUT_LENGTHS
) -> bool:
    return key in ids and ids[key].schema_id <= last


_ADDED_LATER = ("max_length", "kind")


def _envelope_drift(files: Files) -> list[Problem]:
    """Find event files whose envelope differs from that of most files.

    Maximum lengths, kinds of values and names of symbols are not compared: they have their own rules.
    """
    forms = {
        key: json.dumps(
            [
                symbols.without_names({name: value for name, value in field.items() if name not in _ADDED_LATER})
                for field in schema["fields"][: len(ENVELOPE_FIELDS)]
            ],
            sort_keys=True,
        )
        for key, schema in files.items()
        if not rules.is_record(key[0])
    }
    if not forms:
        return []
    usual = Counter(forms.values()).most_common(1)[0][0]
    return [
        Problem(subject, number, Rule.ENVELOPE, "differs from the envelope of the other subjects")
        for (subject, number), form in forms.items()
        if form != usual
    ]
