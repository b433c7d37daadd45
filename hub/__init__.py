"""A data-sharing hub between provincial systems and national databases.

The way of an event: ``intake`` polls and decodes, ``reconcile`` merges, ``warehouse`` stores, ``share`` publishes, and
``operate`` manages all of them. ``model`` holds the vocabulary that every room uses.
"""
