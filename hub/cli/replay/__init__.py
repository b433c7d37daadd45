"""Commands of replays: `hub replay`."""
