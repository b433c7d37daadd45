"""What the intake does about faults: breakers, storms, bugs, records tried piece by piece, stopped partitions."""
