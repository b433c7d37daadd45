"""The warehouse: tables, transactions, offsets, audit, migrations. PostgreSQL is where the truth is."""
