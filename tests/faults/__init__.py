"""Failures seen on the running hub, each a script that runs alone, with what it must show since."""
