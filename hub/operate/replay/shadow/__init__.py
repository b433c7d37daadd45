"""A replay's shadow: create it, withdraw a scope from it, give its rows the live numbers, reject what was discarded."""
