"""The five source databases of the demo: table shapes (``.sql``), declarations (``.toml``) and their rows.

Each database has a module with ``before(story)``, what stands in it at midnight, and ``after(story)``, what comes
later.
"""
