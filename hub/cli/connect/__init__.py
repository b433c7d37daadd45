"""Commands of connectors: `hub connect`."""
