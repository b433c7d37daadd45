"""The vocabulary of the hub: outcomes, errors, entities, keys, sources. Standard library only."""
