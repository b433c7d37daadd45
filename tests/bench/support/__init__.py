"""What benchmarks share: engine, events, jobs, a full warehouse, how results are kept."""
