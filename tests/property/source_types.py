"""Every kind of column of PostgreSQL, SQLite and MariaDB: what is written into it, extremes always."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.property.source_oracle import NONE, Meaning, document, in_json

BIG = 1_000_000
WORDS = (
    "", " ", "  \u3000", "1", "0", "Y", "N", "no", "off", "xóa", "xo\u0301a", "có", "đúng", "150.000", "1.500,5",
    "2.0", " 15 ", "1_500",
    "1e3", "1e999999999", "+5", "0x10", "nan", "Infinity", "٣٤", "１５", "9" * 30, "9" * 5000, "-7", "1985",
    "1985-00-00", "06/1985",
    "2025-07-01", "2025-07-01 08:00:00", "2025-07-01T08:00:00Z", "2025-02-30", "2025-06-30 23:59:60", "01/07/2025",
    "31/02/2025",
    "0000-00-00", "20250-07-01", "infinity", "Trần Thị Ánh", "Tra\u0302\u0300n Thi\u0323", "\u202eabc\u202c",
    "a\u200bb", "\ufeffx",
    "\x1b[31mđỏ\x1b[0m", "=1+1", "a\tb\nc", "👩‍👩‍👧‍👦", "\u00a015\u00a0", "x" * BIG, "{}", "[]", "null",
    '{"ma": "K-1", "so": 5}',
    '{"ma": "K-1", "so": "150.000"}', '{"ma": "K-1", "so": 1e5000}', '{"ma": "K-1", "so": 1e999999999}',
    '{"ma": " ", "so": null}',
    '{"ma": "K-1", "so": 1.5e2}', '{"ma": 7}', '{"ma": {"a": 1}}', '{"ma": "a\\u0000b"}', '{"ma": "\\ud800"}',
    '{"ma": NaN}',
    '[{"ly_do": "nghỉ lễ", "moi": "2025-07-02"}]', '[{"ly_do": 7}, {}]', "[1]", '[{"moi": "hôm qua"}]',
    '{"ma": ' + "9" * 5000 + "}",
    "[" * 20_000, '"x"', "7", "true",
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_DIGITS = st.text("0123456789.,- eE+_'", max_size=12)
_NUMBERS = (
    "0", "1", "-1", "2", "15", "32767", "-32768", "2147483647", "-2147483648", "2147483648", "9223372036854775807",
    "-9223372036854775808", "9223372036854775808", "1.5", "-0.0", "150.000", "0.1", "1e15", "1e22", "1e-7", "1e300",
    "NaN",
    "Infinity", "-Infinity", "1985", "20250701", "1751328000", "1e5000", "1e131071",
    "1.23456789012345678901234567890123", "4294967295",
)  # fmt: skip
_DATES = (
    "0001-01-01",
    "1799-12-31",
    "1800-01-01",
    "1900-01-01",
    "1969-12-31",
    "2000-02-29",
    "2399-12-31",
    "9999-12-31",
)
_NO_DATES = ("infinity", "-infinity", "20250-07-01", "0044-03-15 BC", "4713-01-01 BC", "5874897-12-31")
_CLOCKS = ("00:00:00", "08:30:00.5", "23:59:59.999999", "24:00:00")


@dataclass(frozen=True)
class Kind:
    """A type of column.

    Fields:
        read: how the meaning of what was written is found: given (by the pair), num, text,
        or auto by what is printed.
        extremes, others: pairs of what is written and its meaning, None where that is read.
        has_order: rows can be paged by it.
    """

    name: str
    ddl: str
    read: str
    extremes: tuple[tuple[Any, Meaning | None], ...]
    others: st.SearchStrategy[tuple[Any, Meaning | None]]
    has_order: bool = True


def _of(name: str, ddl: str, read: str, said: tuple[Any, ...], drawn: Any = None, has_order: bool = True) -> Kind:
    pairs = tuple((one, None) for one in (*said, None))
    others = st.sampled_from(said) if drawn is None else drawn
    return Kind(name, ddl, read, pairs, others.map(lambda one: (one, None)), has_order)


def _given(
    name: str, ddl: str, pairs: tuple[tuple[Any, Meaning], ...], drawn: Any = None, has_order: bool = True
) -> Kind:
    return Kind(
        name, ddl, "given", (*pairs, (None, NONE)), st.sampled_from(pairs) if drawn is None else drawn, has_order
    )


def _day_of(text: str) -> tuple[str, Meaning]:
    return text, Meaning("day", date.fromisoformat(text))


def _moment_of(moment: datetime) -> tuple[str, Meaning]:
    return moment.isoformat(sep=" "), Meaning("moment", moment)


_ODD = tuple((text, Meaning("odd", text)) for text in _NO_DATES)
_OFFSETS = st.integers(-15 * 3600, 15 * 3600).map(lambda seconds: timezone(timedelta(seconds=seconds)))
_LEAST, _MOST = datetime(1700, 1, 1), datetime(2500, 1, 1)  # noqa: DTZ001 - a source's local times
_LOCAL = tuple(_moment_of(datetime.fromisoformat(f"{day} 08:30:00.000001")) for day in _DATES[1:-1])
_AWARE = tuple(_moment_of(datetime.fromisoformat(f"{day} 08:30:00.5+07:00")) for day in _DATES[1:-1])
_FAR = tuple(
    (text, Meaning("odd", text))
    for text in (
        "infinity",
        "-infinity",
        "0001-01-01 00:00:00+14",
        "9999-12-31 23:59:59-12",
        "294276-12-31 23:59:59",
        "4713-01-01 BC",
    )
)


def _json(text: str) -> tuple[str, Meaning]:
    found = document(text)
    return text, (NONE if found is None else in_json(found))


_DOCUMENTS = tuple(
    _json(text)
    for text in WORDS
    if text
    and text[0] in '{["n7t'
    and text not in ("nan", "no")
    and "NaN" not in text
    and "[[" not in text
    and "\\" not in text
)


def _array(name: str, ddl: str, *pairs: tuple[str, list[Any]]) -> Kind:
    given = tuple((text, Meaning("doc", value)) for text, value in (("{}", []), *pairs))
    return _given(name, ddl, given, has_order=False)


def postgresql() -> tuple[Kind, ...]:
    """Return the types of PostgreSQL; ``kieu_*`` are made by ``POSTGRESQL_TYPES``."""
    digits = st.decimals(allow_nan=False, allow_infinity=False).map(str)
    texts = st.one_of(TEXTS, _DIGITS, st.sampled_from(WORDS[:40]))
    whole = st.integers(-(2**63), 2**63 - 1).map(str)
    numbers = (
        _of("int2", "smallint", "num", _NUMBERS, st.integers(-(2**15), 2**15 - 1).map(str)),
        _of("int4", "integer", "num", _NUMBERS, st.integers(-(2**31), 2**31 - 1).map(str)),
        _of("int8", "bigint", "num", _NUMBERS, whole),
        _of("oid", "oid", "num", _NUMBERS, st.integers(0, 2**32 - 1).map(str)),
        _of("float4", "real", "single", _NUMBERS, st.floats(width=32).map(repr)),
        _of("float8", "double precision", "float", _NUMBERS, st.floats().map(repr)),
        _of("numeric", "numeric", "num", _NUMBERS, digits),
        _of("numeric_2", "numeric(20, 2)", "num", _NUMBERS, digits),
        _of("domain_number", "kieu_so", "num", _NUMBERS, digits),
        _given(
            "money",
            "money",
            tuple(
                (text, Meaning("num", Decimal(text))) for text in ("0", "150000", "-1234.56", "92233720368547758.07")
            ),
        ),
    )
    named = [
        _of(name, ddl, "text", WORDS, texts)
        for name, ddl in (("text", "text"), ("varchar", "varchar"), ("domain", "kieu_chu"))
    ]
    named += [_of("char", "char(12)", "text", WORDS, texts), _of("name", "name", "text", WORDS, texts)]
    named += [
        _of("one_char", '"char"', "text", ("a", "", "đ", "1", "Y")),
        _of("enum", "kieu_chon", "text", ("Y", "N", "1", "đã xóa")),
    ]
    named += [_of("collated", 'text COLLATE "C"', "text", WORDS, texts)]
    times = (
        _given(
            "date",
            "date",
            (*map(_day_of, _DATES), *_ODD),
            st.dates(date(1700, 1, 1), date(2500, 1, 1)).map(str).map(_day_of),
        ),
        _given(
            "timestamp",
            "timestamp",
            (*_LOCAL, *(one for one in _FAR if one[0][-3] not in "+-")),
            st.datetimes(_LEAST, _MOST).map(_moment_of),
        ),
        _given(
            "timestamptz",
            "timestamptz",
            (*_AWARE, *_FAR),
            st.tuples(st.datetimes(_LEAST, _MOST), _OFFSETS)
            .map(lambda pair: pair[0].replace(tzinfo=pair[1]))
            .map(_moment_of),
        ),
        _of("time", "time", "text", _CLOCKS),
        _of("timetz", "timetz", "text", (*(f"{clock}+07" for clock in _CLOCKS), "08:00:00-15:59:59")),
        _of(
            "interval",
            "interval",
            "text",
            ("1 day", "-178000000 years", "1 mon -3 days 04:05:06.789", "0", "infinity", "-infinity"),
        ),
    )
    blobs = ((r"\x", Meaning("blob", b"")), (r"\x00ff", Meaning("blob", b"\0\xff")), (r"\x31", Meaning("blob", b"1")))
    others = (
        _of("bool", "boolean", "bool", ("true", "false")),
        _given("json", "json", _DOCUMENTS, has_order=False),
        _given("jsonb", "jsonb", _DOCUMENTS, has_order=False),
        _given("bytea", "bytea", blobs),
        _of("uuid", "uuid", "text", ("00000000-0000-0000-0000-000000000000", "f" * 32)),
        _of("xml", "xml", "text", ("<a>1</a>", "x"), has_order=False),
        _of("bit", "bit(8)", "bits", ("00000001", "11111111")),
        _of("bit_1", "bit(1)", "bits", ("0", "1")),
        _of("varbit", "bit varying", "bits", ("", "1", "0" * 500)),
        _of("inet", "inet", "text", ("10.0.0.1", "10.0.0.1/8", "::1", "fe80::1/64", "::ffff:1.2.3.4")),
        _of("cidr", "cidr", "text", ("10.0.0.0/8", "::/0")),
        _of("macaddr", "macaddr", "text", ("08:00:2b:01:02:03",)),
        _of("macaddr8", "macaddr8", "text", ("08:00:2b:01:02:03:04:05",)),
        _of("tsvector", "tsvector", "text", ("a:1 b:2", "'đ'", "")),
        _of("tsquery", "tsquery", "text", ("a & b", "")),
        _of("pg_lsn", "pg_lsn", "text", ("0/0", "FFFFFFFF/FFFFFFFF")),
        _of("xid8", "xid8", "text", ("0", "18446744073709551615")),
        _of("xid", "xid", "text", ("0", "4294967295"), has_order=False),
        _of("tid", "tid", "text", ("(0,1)", "(4294967295,65535)")),
        _of("jsonpath", "jsonpath", "text", ("$.a", "strict $[*]"), has_order=False),
        _of("composite", "kieu_ghep", "text", ('(1,"a b")', "(,)", "(7,)"), has_order=False),
        *(
            _of(name, name, "text", (f"({a},{b})",), has_order=False)
            for name, a, b in (
                ("point", "1", "-2"),
                ("box", "(1,1)", "(0,0)"),
                ("lseg", "(0,0)", "(1,1)"),
                ("path", "(0,0)", "(1,1)"),
            )
        ),
        _of("polygon", "polygon", "text", ("((0,0),(1,1),(1,0))",), has_order=False),
        _of("circle", "circle", "text", ("<(0,0),1>", "<(NaN,0),Infinity>"), has_order=False),
        _of("line", "line", "text", ("{1,-1,0}",), has_order=False),
        *(
            _of(name, name, "text", ("empty", *said))
            for name, said in (
                ("int4range", ("[1,10)", "(,)")),
                ("int8range", ("[1,9223372036854775807)",)),
                ("numrange", ("[1.5,NaN)", "(,1]")),
                ("daterange", ("[2025-07-01,infinity)", "[0044-03-15 BC,20250-07-01)")),
                ("tsrange", ("[2025-07-01 08:00,)",)),
                ("tstzrange", ("[2025-07-01 08:00+07,infinity]",)),
            )
        ),
        *(
            _of(name, name, "text", ("{}", *said))
            for name, said in (
                ("int4multirange", ("{[1,2),[5,7)}",)),
                ("nummultirange", ("{(,)}",)),
                ("datemultirange", ("{[-infinity,infinity]}",)),
                ("tstzmultirange", ("{[2025-07-01 08:00+07,)}",)),
            )
        ),
        _array("int_array", "int[]", ("{1,2}", [1, 2]), ("{NULL}", [None]), ("{{1},{2}}", [[1], [2]])),
        _array("text_array", "text[]", ('{a,"b c"}', ["a", "b c"])),
        _array("date_array", "date[]", ("{infinity,2025-07-01}", ["infinity", "2025-07-01"]), ("{20250-07-01}", ["x"])),
        _array("numeric_array", "numeric[]", ("{NaN,Infinity}", [1, 2])),
        _array("range_array", "daterange[]", ('{"[2025-07-01,infinity)"}', ["x"])),
        _array("jsonb_array", "jsonb[]", ('{"{\\"ly_do\\": \\"a\\"}"}', [{"ly_do": "a"}]), ("{1}", [1])),
    )
    return (*numbers, *named, *times, *others)


POSTGRESQL_TYPES = (
    "CREATE DOMAIN kieu_so AS numeric CHECK (VALUE IS NULL OR VALUE = VALUE)",
    "CREATE DOMAIN kieu_chu AS text",
    "CREATE TYPE kieu_chon AS ENUM ('Y', 'N', '1', 'đã xóa')",
    "CREATE TYPE kieu_ghep AS (a int, b text)",
)


def sqlite() -> tuple[Kind, ...]:
    """Return the affinities of SQLite: any kind of value in any of them. Bytes in a list are text that is no UTF-8."""
    words: tuple[Any, ...] = (
        *WORDS,
        "a\0b",
        b"",
        b"\0\xff",
        b"1",
        [b"a\xff"],
        [b"\xed\xa0\x80"],
        0,
        1,
        -1,
        2,
        1985,
        20250701,
        2**63 - 1,
    )
    said = (*words, -(2**63), 1.5, 0.1, 1e15, 1e22, 1e-7, 1e300, float("inf"), float("-inf"), 2460857.5)
    drawn = st.one_of(
        TEXTS, _DIGITS, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.sampled_from(said[:40])
    )
    types = (
        "INTEGER",
        "REAL",
        "TEXT",
        "NUMERIC",
        "BLOB",
        "",
        "DATETIME",
        "DATE",
        "TIME",
        "BOOLEAN",
        "DECIMAL(10, 2)",
        "VARCHAR(20)",
        "JSON",
    )
    return tuple(
        _of(f"sqlite_{ddl.split('(')[0].lower() or 'none'}", ddl, "sqlite", said, drawn, has_order=ddl != "JSON")
        for ddl in types
    )


def mariadb() -> tuple[Kind, ...]:
    """Return the types of MariaDB, which keeps what is no date or is too long in its own way: so it is asked."""
    texts = st.one_of(TEXTS, _DIGITS, st.sampled_from(WORDS[:40]))
    numbers = tuple(text for text in _NUMBERS if not text.endswith(("NaN", "Infinity")) and "e" not in text)
    no_dates = ("0000-00-00", "2025-00-00", "2025-02-31", "2025-07-00")
    moments = tuple(f"{day} 08:30:00.000001" for day in (*_DATES, *no_dates))
    plain = (
        *(
            _of(name, ddl, {"float": "single", "double": "float"}.get(name, "num"), numbers, has_order=name != "float")
            for name, ddl in (
                ("tinyint", "TINYINT"),
                ("bool", "BOOLEAN"),
                ("int", "INT"),
                ("bigint", "BIGINT UNSIGNED"),
                ("float", "FLOAT"),
                ("decimal", "DECIMAL(65, 30)"),
                ("double", "DOUBLE"),
                ("year", "YEAR"),
                ("bit_1", "BIT(1)"),
                ("bit_8", "BIT(8)"),
            )
        ),
        *(
            _of(name, ddl, "text", WORDS, texts)
            for name, ddl in (
                ("char", "CHAR(10)"),
                ("varchar", "VARCHAR(50)"),
                ("text", "LONGTEXT"),
                ("latin", "VARCHAR(50) CHARSET latin1"),
            )
        ),
        *(
            _of(name, ddl, "text", ("Y", "N", "1", ""), has_order=False)
            for name, ddl in (("enum", "ENUM('Y','N','1')"), ("set", "SET('Y','1')"))
        ),
        _of("date", "DATE", "time", (*_DATES, *no_dates)),
        _of("datetime", "DATETIME(6)", "time", moments),
        _of(
            "timestamp",
            "TIMESTAMP(6) NULL",
            "time",
            ("1970-01-02 00:00:00", "2038-01-19 03:14:07", "0000-00-00 00:00:00"),
        ),
        _of("time", "TIME(6)", "text", ("838:59:59", "-838:59:59", "00:00:00", "08:30:00.5")),
        _of("json", "JSON", "text", tuple(text for text, _ in _DOCUMENTS)),
        _of("uuid", "UUID", "text", ("00000000-0000-0000-0000-000000000000",)),
        _of("inet6", "INET6", "text", ("::1", "1::2")),
        *(
            _of(name, ddl, "blob", (b"", b"\0\xff", b"1"))
            for name, ddl in (("blob", "BLOB"), ("varbinary", "VARBINARY(9)"), ("binary", "BINARY(4)"))
        ),
    )
    return tuple(
        Kind(f"mariadb_{one.name}", one.ddl, one.read, one.extremes, one.others, one.has_order) for one in plain
    )
