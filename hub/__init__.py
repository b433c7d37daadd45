"""A data-sharing hub between provincial systems and national databases.

The way of an event: ``intake`` polls and decodes, ``reconcile`` merges, ``warehouse`` keeps, ``share`` publishes,
``operate`` looks after all of them. ``model`` holds the vocabulary that every room uses.
"""
