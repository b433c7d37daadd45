"""The embedded engine: Apache Kafka and PostgreSQL themselves, as child processes of ``hub up``.

``engine`` starts and stops them, ``locate`` tells everyone else where they are. What is made stays under one data
folder; the jars are kept per user. There is no second, fake engine.
"""
