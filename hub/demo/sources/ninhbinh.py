"""Rows of the old one-stop system of Ninh Bình: English names, unit codes as numbers, a few services without a code."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hub.demo.dossiers import Dossier, Step
from hub.demo.sources.load import Rows
from hub.demo.story import Story

PROVINCE = "37"
UNCATALOGUED_EVERY = 500
"""One dossier in this many is for a service without a code: its connector cannot map the row and sets it aside."""

_STATUS = {
    1: "receiving",
    2: "new",
    4: "processing",
    5: "waiting",
    6: "paying",
    8: "unresolved",
    9: "releasing",
    10: "done",
}
_CHANNEL = {"DIRECT": 0, "ONLINE": 1, "POSTAL": 2}
_DOSSIER = (
    *("dossier_no", "service_code", "service_name", "domain_code", "applicant_name", "applicant_id_no", "ward_code"),
    *("address", "online", "submit_date", "fee_amount", "version_no", "modified_date"),
)
_ACTION = (
    *("dossier_no", "seq", "dossier_status", "action_user", "user_title", "department", "action_note", "due_date"),
    "create_date",
)


def before(story: Story) -> list[Rows]:
    """Return the rows of the database at midnight."""
    dossiers = story.of_province(PROVINCE)
    return [
        Rows("dossier", _DOSSIER, map(_dossier, range(len(dossiers)), dossiers)),
        Rows("dossier_action", _ACTION, _actions(dossiers, story.recorded_before)),
    ]


def after(story: Story) -> list[Rows]:
    """Return what is still typed into the database after midnight."""
    return [Rows("dossier_action", _ACTION, _actions(story.of_province(PROVINCE), story.recorded_late))]


def _dossier(number: int, dossier: Dossier) -> tuple[Any, ...]:
    person, procedure = dossier.applicant, dossier.procedure
    return (
        dossier.code,
        None if number % UNCATALOGUED_EVERY == 7 else procedure.code,
        procedure.name,
        procedure.field_code,
        person.full_name,
        person.pin,
        int(person.home.code),
        person.address,
        _CHANNEL[dossier.channel],
        dossier.submitted_at,
        procedure.fee_vnd,
        1,
        dossier.submitted_at,
    )


def _actions(dossiers: Iterable[Dossier], recorded: Callable[[Dossier], Iterable[Step]]) -> Iterator[tuple[Any, ...]]:
    for dossier in dossiers:
        for step in recorded(dossier):
            yield (
                dossier.code,
                step.number,
                _STATUS[step.status],
                step.officer,
                step.title,
                step.department,
                step.note,
                dossier.due_at,
                step.at,
            )
