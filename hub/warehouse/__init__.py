"""The warehouse in PostgreSQL: tables, transactions, offsets, audit, migrations. Its state is authoritative."""
