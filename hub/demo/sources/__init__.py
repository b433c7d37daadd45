"""The five source databases of the demo: table shapes (``.sql``), declarations (``.toml``) and their rows.

Each database has a module with ``before(story)``, its rows at midnight, and ``after(story)``, the rows that come
later.
"""
