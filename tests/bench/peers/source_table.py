"""The source of the snapshot race: one table of people, as a population database has it, and its declaration."""

from pathlib import Path

from sqlalchemy import Engine, text

TABLE = "cong_dan"

_MAKE = """
CREATE TABLE cong_dan (
    so_dinh_danh text PRIMARY KEY, ho text, chu_dem text, ten text, ngay_sinh text, gioi_tinh text, que_quan text,
    quoc_tich text, tinh_trang text, phien_ban bigint NOT NULL, cap_nhat_luc timestamptz NOT NULL
)
"""
_FILL = """
INSERT INTO cong_dan
SELECT
    '0002' || lpad(n::text, 8, '0'),
    (ARRAY['Nguyễn', 'Trần', 'Lê', 'Phạm', 'Hoàng', 'Phan', 'Vũ', 'Đặng', 'Bùi', 'Đỗ'])[n % 10 + 1],
    (ARRAY['Văn', 'Thị', 'Hữu', 'Ngọc'])[n % 4 + 1],
    (ARRAY['An', 'Bình', 'Chi', 'Dũng', 'Giang', 'Hạnh'])[n % 6 + 1] || ' ' || n,
    lpad((n % 28 + 1)::text, 2, '0') || '/' || lpad((n % 12 + 1)::text, 2, '0') || '/2099',
    CASE WHEN n % 2 = 0 THEN 'Nam' ELSE 'Nữ' END,
    'Xã ' || n % 3000,
    'VNM',
    CASE WHEN n % 50 = 0 THEN 'Đã mất' ELSE 'Còn sống' END,
    n,
    timestamptz '2025-01-01 00:00:00+07' + n * interval '1 second'
FROM generate_series(1, :rows) AS n
"""
_DECLARATION = """
[source]
code = "dancu"
agency = "G01"
unit_scheme = "GSO_2004"
url_env = "SOURCE_DATABASE_URL"

[state]
schema = "{state}"

[words.gender]
"Nam" = "MALE"
"Nữ" = "FEMALE"

[words.life]
"Còn sống" = "ALIVE"
"Đã mất" = "DEAD"

[[stream]]
name = "people"
connector = "table"
subject = "citizen.changed"
table = "cong_dan"
key = ["so_dinh_danh"]
version = "phien_ban"
changed_at = "cap_nhat_luc"

[stream.fields]
pin = "so_dinh_danh"
family_name = "ho"
middle_name = "chu_dem"
given_name = "ten"
full_name = {{ columns = ["ho", "chu_dem", "ten"] }}
birth_year = {{ column = "ngay_sinh", formats = ["%d/%m/%Y"], part = "year" }}
birth_month = {{ column = "ngay_sinh", formats = ["%d/%m/%Y"], part = "month" }}
birth_day = {{ column = "ngay_sinh", formats = ["%d/%m/%Y"], part = "day" }}
gender = {{ column = "gioi_tinh", words = "gender" }}
native_place = "que_quan"
nationality = "quoc_tich"
life_status = {{ column = "tinh_trang", words = "life" }}
"""


def make_table(engine: Engine, rows: int) -> None:
    """Fill the table with invented people (born in 2099)."""
    with engine.begin() as connection:
        connection.execute(text(_MAKE))
        connection.execute(text(_FILL), {"rows": rows})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE cong_dan"))
        connection.execute(text("CHECKPOINT"))


def write_declaration(folder: Path, run: str) -> Path:
    """Write the hub's declaration of the table, with a state of its own: each run begins with a snapshot."""
    path = folder / f"people_{run}.toml"
    path.write_text(_DECLARATION.format(state=f"state_{run}"), "utf-8")
    return path
