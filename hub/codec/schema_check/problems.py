"""What the schema check finds."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rule that a schema breaks."""

    PARSE = "PARSE"
    ID = "ID"
    EDITED = "EDITED"
    NAME = "NAME"
    LABEL = "LABEL"
    ENVELOPE = "ENVELOPE"
    OPTIONAL = "OPTIONAL"
    KEY = "KEY"
    MONEY = "MONEY"
    ENUM = "ENUM"
    LIST = "LIST"
    LENGTH = "LENGTH"
    KIND = "KIND"
    COMPATIBILITY = "COMPATIBILITY"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where it is and what is wrong. ``number`` 0: the whole subject; no ``field``: the whole file."""

    subject: str
    number: int
    rule: Rule
    message: str
    field: str = ""

    def __str__(self) -> str:
        version = f" v{self.number}" if self.number else ""
        field = f", {self.field}" if self.field else ""
        where = f"{self.subject}{version}{field}: " if self.subject else ""
        return f"{where}{self.message} [{self.rule}]"
