"""Commands of reference data: `hub units`, `hub procedures`."""
