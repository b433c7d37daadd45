"""Connectors: the source side.

A port, a checkpointed run loop, a publisher, and adapters that need only a declaration.
"""
