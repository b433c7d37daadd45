"""The embedded engine: Apache Kafka and PostgreSQL themselves, as child processes of ``hub up``.

``engine`` starts and stops them; ``locate`` tells all other parts where they are. Everything they write is in one data
folder; the jars are stored per user. There is no second, fake engine.
"""
