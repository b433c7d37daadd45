"""Make hoso.db, an SQLite file that stands for your one-stop system: one table, one dossier. The data are invented."""

import sqlite3
from datetime import UTC, datetime

with sqlite3.connect("hoso.db") as database:
    database.execute(
        "CREATE TABLE IF NOT EXISTS ho_so (id INTEGER PRIMARY KEY, so_ho_so TEXT NOT NULL, ma_tthc TEXT NOT NULL, "
        "chu_ho_so TEXT, trang_thai TEXT, phien_ban INTEGER NOT NULL, cap_nhat_luc TIMESTAMP NOT NULL)"
    )
    now = datetime.now(UTC).isoformat(" ", "seconds")
    row = (1, "H42.12.34-260701-0001", "1.001193", "Nguyễn Văn Thử", "Đang giải quyết", 1, now)
    database.execute("INSERT OR REPLACE INTO ho_so VALUES (?, ?, ?, ?, ?, ?, ?)", row)
