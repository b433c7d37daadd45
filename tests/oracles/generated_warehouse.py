"""Warehouses filled at random, table by table: what a merge could leave, and odd values that it would not."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, insert, null
from sqlalchemy.dialects.postgresql import JSONB

from hub.codec.fields import FieldKind, FieldSpec
from hub.model.declaration import Entity
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import same_key
from hub.warehouse.tables.dossiers import dossier_deadline
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.people import flag
from hub.warehouse.tables.units import agency_now, unit_now

TEXTS = (
    "",
    "An",
    "Trần Hưng Đạo",
    "Nguye\u0302\u0303n Thi\u0323 Le\u0309",
    "a'b",
    '"c"\\d',
    "x" * 200,
    "ở" * 150,
    "y" * 9_000,
    "– “xã”\u200b",
    "\u1100\u1161 \U0001f600",
    "H42.12",
    "G01",
    "\n\t",
)
COMMUNES = ("00101", "00102", "99999")
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Filled:
    """Fills the tables of some entities from a seed."""

    def __init__(self, seed: int, sources: dict[str, int], keys: int, width: int = 0) -> None:
        """Take a seed, the sources' numbers by code, and the number of keys of each entity."""
        self.chance = random.Random(seed)
        self.sources = sources
        self.keys = [UUID(int=self.chance.getrandbits(128)) for _ in range(keys)]
        self.filled = self.chance.random()

    def entity(self, connection: Connection, entity: Entity) -> None:
        """Fill claims and records of each aspect, and some groups."""
        for aspect in entity.aspects:
            self._aspect(connection, aspect_tables(aspect.subject))
        grouped = self.keys[: self.chance.randrange(len(self.keys))]
        for first in range(0, len(grouped) - 3, 4):
            members = grouped[first : first + self.chance.choice((2, 3, 4))]
            rows = [{"entity": entity.name, "key": key, "canonical": members[-1]} for key in members]
            connection.execute(insert(same_key), rows)

    def _aspect(self, connection: Connection, tables: AspectTables) -> None:
        claims, records, sensitive = [], [], []
        parts = [spec for spec in tables.data if spec.name in tables.aspect.part]
        for key in self.keys:
            for said in self._parts(parts):
                codes = self.chance.sample(sorted(self.sources), self.chance.choice((0, 1, 1, 2)))
                held = self.chance.choice([*codes, *codes, *codes, None])
                if codes or self.chance.random() < 0.5:
                    records.append({"key": key, **said, "source": held and self.sources[held]})
                for code in codes:
                    mine = dict.fromkeys(tables.entity.key, f"Be\u0301 {key.int % 7}")
                    whole = self._claim(tables, said) | mine | {"key": key, "source": self.sources[code]}
                    claims.append({name: whole[name] for name in whole if name in tables.claim.c})
                    if tables.sensitive is not None and self.chance.random() < 0.7:
                        sensitive.append({name: whole[name] for name in whole if name in tables.sensitive.c})
        self._insert(connection, tables.claim, claims)
        self._insert(connection, tables.record, records)
        if tables.sensitive is not None:
            self._insert(connection, tables.sensitive, sensitive)

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(insert(table), rows)

    def _parts(self, specs: list[FieldSpec]) -> list[dict[str, Any]]:
        if not specs:
            return [{}]
        (spec,) = specs
        kinds = self.chance.sample(spec.symbols, self.chance.randrange(len(spec.symbols) + 1))
        return [{spec.name: kind} for kind in kinds]

    def _claim(self, tables: AspectTables, said: dict[str, Any]) -> dict[str, Any]:
        chance = self.chance
        named = {
            column.name: UUID(int=chance.getrandbits(128)) for column in tables.claim.c if column.name == "event_id"
        }
        row = {
            "source_epoch": chance.choice((0, 1, 64, 2**31 - 1)),
            "source_version": chance.choice((0, 1, 8_191, 8_192, 2**62, -1)),
            "content_hash": chance.randrange(-(2**63), 2**63),
            "revoked": False,
            "contested": False,
            "occurred_at": chance.choice((FIRST, LAST, datetime(2025, 8, chance.randint(1, 9), tzinfo=UTC))),
            "recorded_at": datetime(2025, 8, 1, tzinfo=UTC),
            "operation": chance.choice(("CREATE", "UPDATE", "CORRECT")),
            "unit_scheme": chance.choice(("GSO_2004", "GSO_2025")),
            "source_agency": "G01",
            "doubtful_fields": chance.choice((None, None, "commune_code PADDED", "o'd\nd")),
            "sensitive": False,
        }
        values = {spec.name: self._value(spec) for spec in tables.data}
        codes = {unit.code: chance.choice((*COMMUNES, None)) for unit in tables.aspect.units}
        others = {other_key("linked_parent_code"): chance.choice((None, *self.keys))}
        return named | row | values | codes | others | said

    def _value(self, spec: FieldSpec) -> Any:
        chance = self.chance
        if spec.nullable and chance.random() > self.filled:
            return null() if spec.kind is FieldKind.JSON else None
        if spec.kind is FieldKind.JSON:
            return [{one.name: self._value(one) for one in spec.items} for _ in range(chance.randrange(3))]
        if spec.symbols:
            return chance.choice(spec.symbols)
        if spec.text_format == "date-time":
            return "2025-06-30T16:59:59.5Z"
        return _VALUES[spec.kind](chance)

    def derived(self, connection: Connection) -> None:
        """Fill units, agencies, deadlines and flags."""
        days = {"said_from": date(1900, 1, 1), "said_until": date(9999, 12, 31)}
        effect = {"effective_from": date(1900, 1, 1), "effective_until": date(9999, 12, 31)}
        for scheme, code, now, resolution in (
            ("GSO_2004", "00101", "00201", "EXACT"),
            ("GSO_2025", "00101", "00101", "EXACT"),
            ("GSO_2004", "00102", None, "AMBIGUOUS"),
        ):
            row: dict[str, Any] = {"scheme": scheme, "code": code, "now_code": now, "resolution": resolution}
            row |= {"now_scheme": now and "GSO_2025", "candidates": null() if now else [{"code": "00301"}]}
            self._insert(connection, unit_now, [_only(unit_now, row | days | effect)])
        self._insert(connection, agency_now, [_only(agency_now, {"prefix": "H42", "now_prefix": "H37"} | effect)])
        rows = []
        for key in self.keys[::2]:
            deadline: dict[str, Any] = {"key": key}
            for column in dossier_deadline.c:
                if column.name != "key":
                    deadline[column.name] = self._plain(column)
            rows.append(deadline)
        self._insert(connection, dossier_deadline, rows)

    def _plain(self, column: Any) -> Any:
        if column.nullable and self.chance.random() < 0.4:
            return None
        if isinstance(column.type, JSONB):
            return {}
        kind = column.type.python_type
        made = {
            datetime: FIRST + timedelta(days=900_000 * self.chance.random() // 1 * 0.8),
            int: self.chance.randrange(30_000),
            bool: self.chance.random() < 0.5,
            str: self.chance.choice(TEXTS),
            date: date(2025, 1, 2),
        }
        return made[kind]

    def flags(self, connection: Connection) -> None:
        """Fill flags, some of them closed."""
        for key in self.keys:
            row = {
                "id": key,
                "flag": self.chance.choice(FLAGS),
                "entity": "citizen",
                "aspect": "citizen.person",
                "key": self.chance.choice(self.keys),
                "part": str(self.chance.random()),
                "cause_key": self.chance.choice(self.keys),
                "opened_at": datetime(2025, 8, 1, tzinfo=UTC),
                "closed_at": self.chance.choice((None, datetime(2025, 8, 2, tzinfo=UTC))),
            }
            connection.execute(insert(flag), [_only(flag, row)])


FLAGS = ("DECEASED_HOLDS_INSURANCE", "DECEASED_RESIDENT")
_VALUES: dict[FieldKind, Any] = {
    FieldKind.STRING: lambda chance: chance.choice(TEXTS),
    FieldKind.INT: lambda chance: chance.choice((0, -1, 63, 64, 2025, 2**31 - 1, -(2**31))),
    FieldKind.LONG: lambda chance: chance.choice((0, -1, 8_192, 2**62, -(2**63))),
    FieldKind.BOOLEAN: lambda chance: chance.random() < 0.5,
    FieldKind.DOUBLE: lambda chance: chance.random(),
    FieldKind.TIMESTAMP: lambda chance: chance.choice((FIRST, LAST, datetime(2025, 8, 1, 2, 3, 4, 5, tzinfo=UTC))),
    FieldKind.DATE: lambda chance: chance.choice((date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31))),
}


def _only(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in table.c}
