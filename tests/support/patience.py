"""How long tests wait for a condition before they call it a hang: on a busy machine nothing else is too late."""

HANG_S = 900.0
