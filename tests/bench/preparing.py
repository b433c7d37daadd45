"""Benchmark of the preparing part: bytes to a batch that can be committed; no broker and no database.

So many events of each subject are decoded, checked, ordered and encoded for the stage. ``--doubtful``: every so many
events have an optional value that breaks its rule. To compare two versions of the code, run it in both checkouts in
turn: each run prints its rounds.
"""

import random
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hub.codec.encode import Encoder
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.policies.policy import parse_policy
from hub.topology import event_topic
from tests.bench.support.measured import arguments_of, keep, show

SUBJECTS = ("citizen.changed", "dossier.submitted", "dossier.progressed", "residence.changed")
SECRET = "a secret of the bench"  # noqa: S105 - of no system
_POLICY = f"""
[[source]]
code = "bench"
agency = "H25"
role = "province"
subjects = {list(SUBJECTS)}
"""
_WHEN = datetime(2025, 8, 1, tzinfo=UTC)
_NAMES = ("Nguyễn Văn An", "Trần Thị Bình", "Lê Minh Châu", "Phạm Quốc Dũng")


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--doubtful", type=int, default=0, help="one in so many events has a wrong optional value")
    options = arguments.parse_args()
    rules = SourceRules.of(parse_policy(_POLICY.encode()), {"bench": 1})
    rounds: dict[str, list[float]] = {}
    with GuardedDecoder(60.0, 2_048) as decoder:
        preparer = Preparer(decoder, rules, SECRET)
        for subject in SUBJECTS:
            rounds[subject] = _rounds(preparer, subject, options)
    found = {"events": options.events, "doubtful": options.doubtful, "seconds": rounds}
    keep("preparing", found, options.results)
    rows = [(name, " ".join(f"{1000 * one:.0f}" for one in took) + " ms", "") for name, took in rounds.items()]
    show(found, rows, options.json)


def _rounds(preparer: Preparer, subject: str, options: Namespace) -> list[float]:
    """Return how long each round took, in seconds; the first one, which compiles and fills caches, is not counted."""
    polled = [_polled(subject, options.events, options.doubtful)]
    took = []
    for _ in range(options.rounds + 1):
        began = time.perf_counter()
        batch = preparer.prepare(polled)
        took.append(time.perf_counter() - began)
        prepared = sum(accepted.frame.height for accepted in batch.accepted)
        if prepared + batch.refused.height != options.events:
            raise SystemExit(f"{subject}: {prepared} of {options.events} events came out")
    return took[1:]


def _polled(subject: str, count: int, doubtful: int) -> Polled:
    encoder = Encoder(subject, SECRET)
    events = list(_events(subject, count, doubtful))
    keys, values = [encoder.key(event) for event in events], [encoder.encode(event) for event in events]
    return Polled(1, event_topic(subject), 0, 0, range(count), keys, values)


def _events(subject: str, count: int, doubtful: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    for number in range(count):
        person = chance.randrange(count)
        is_wrong = bool(doubtful) and number % doubtful == 0
        yield {
            "event_id": UUID(int=number + 1),
            "occurred_at": _WHEN,
            "recorded_at": _WHEN,
            "source_system": "bench",
            "source_agency": "H25",
            "source_epoch": 1,
            "source_version": number,
            "operation": "UPDATE",
            "unit_scheme": "GSO_2025",
            **_FIELDS[subject](person, is_wrong),
        }


def _citizen(person: int, is_wrong: bool) -> dict[str, Any]:
    return {
        "pin": f"001099{person:06d}",
        "cmnd9": f"{100_000_000 + person}",
        "full_name": _NAMES[person % 4],
        "birth_year": 97 if is_wrong else 1999,
        "birth_month": person % 12 + 1,
        "birth_day": person % 28 + 1,
        "gender": "MALE",
        "nationality": "VN",
        "father_pin": f"001070{person:06d}",
        "phone": f"09{person:08d}",
    }


def _residence(person: int, is_wrong: bool) -> dict[str, Any]:
    return {
        "pin": f"001099{person:06d}",
        "kind": "PERMANENT",
        "action": "REGISTER",
        "province_code": "01",
        "commune_code": "263" if is_wrong else f"{person % 10_000:05d}",
        "detail_text": f"{person % 300} Trần Hưng Đạo",
        "from_date": _WHEN.date(),
        "head_pin": f"001070{person:06d}",
    }


def _submitted(person: int, is_wrong: bool) -> dict[str, Any]:
    return {
        "dossier_code": f"H25.14-250801-{person:05d}",
        "procedure_code": "1.001193",
        "applicant_pin": f"001099{person:06d}",
        "applicant_name": _NAMES[person % 4],
        "applicant_birth_year": 97 if is_wrong else 1999,
        "applicant_phone": f"09{person:08d}",
        "applicant_province_code": "01",
        "applicant_commune_code": f"{person % 10_000:05d}",
        "submitted_at": _WHEN,
        "total_fee_vnd": 150_000,
        "fees": [{"name": "Lệ phí", "amount_vnd": 150_000}],
        "documents": [
            {"name": "Tờ khai", "sha256": f"{person:064x}", "digitised": True, "reuse": 1},
            {"name": "Căn cước", "storage_ref": f"kho/{person}", "reuse": 0},
        ],
    }


def _progressed(person: int, is_wrong: bool) -> dict[str, Any]:
    return {
        "dossier_code": f"H25.14-250801-{person:05d}",
        "procedure_code": "1.001193",
        "status": "RESULT_RETURNED",
        "received_at": _WHEN,
        "due_at": _WHEN,
        "finished_at": _WHEN,
        "step_name": "Trả kết quả",
        "step_officer_name": _NAMES[person % 4],
        "overdue_seconds": 0,
        "satisfaction_score": 9 if is_wrong else 5,
    }


_FIELDS = {
    "citizen.changed": _citizen,
    "dossier.submitted": _submitted,
    "dossier.progressed": _progressed,
    "residence.changed": _residence,
}


if __name__ == "__main__":
    main()
