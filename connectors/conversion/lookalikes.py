"""Values of databases that look like others in Python, and mean something else."""


class Single(float):
    """A number in single precision (PostgreSQL's ``real``, MariaDB's ``FLOAT``), as the shortest text that means it."""


class Bits(str):
    """A bit string of PostgreSQL. Its text is binary: as a number it is what the database's cast gives."""

    __slots__ = ()


class LooseText(str):
    """A text in a column of SQLite that keeps numbers and texts apart: there, 1 and '1' are two keys."""

    __slots__ = ()
