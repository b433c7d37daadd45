"""Commands of the officers' desk: `hub review`, `operators`, `policy`, `calendar`."""
