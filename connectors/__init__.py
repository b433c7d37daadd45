"""Connectors: the source side.

A port, a run loop that stores its position, a publisher, and adapters that need only a declaration.
"""
