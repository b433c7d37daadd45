"""Make xe.db, an SQLite file: a register of vehicles and the people who own them. The data are invented."""

import sqlite3

PEOPLE = [("000299000001", "Nguyễn Văn Thử")]
MODELS = [("Hãng Thử", "THU-125", "Thử 125", 2)]
VEHICLES = [
    ("35A-00001", "THU-125", "000299000001", "Nguyễn Văn Thử", "VNTHU125000000001", "30A-99999"),
    ("35A-00002", "THU-125", "000299000002", "Trần Thị Thử", "VNTHU125000000002", None),  # no source knows this owner
    ("35A-00003", "THU-999", "000299000001", "Nguyễn Văn Thử", "VNTHU999000000003", None),  # or this model
]

with sqlite3.connect("xe.db") as database:
    database.executescript(
        """
        CREATE TABLE cong_dan (so_dinh_danh TEXT PRIMARY KEY, ho_ten TEXT, sua_luc TIMESTAMP NOT NULL);
        CREATE TABLE kieu_loai (
            hang TEXT, ma TEXT PRIMARY KEY, ten TEXT, so_cho INTEGER, sua_luc TIMESTAMP NOT NULL
        );
        CREATE TABLE xe (
            bien_so TEXT PRIMARY KEY, ma_kieu_loai TEXT, so_dinh_danh TEXT, chu_xe TEXT, so_khung TEXT, bien_cu TEXT,
            sua_luc TIMESTAMP NOT NULL
        );
        """
    )
    database.executemany("INSERT INTO cong_dan VALUES (?, ?, '2026-01-05 08:00:00')", PEOPLE)
    database.executemany("INSERT INTO kieu_loai VALUES (?, ?, ?, ?, '2026-01-05 08:00:00')", MODELS)
    database.executemany("INSERT INTO xe VALUES (?, ?, ?, ?, ?, ?, '2026-01-05 08:00:00')", VEHICLES)
