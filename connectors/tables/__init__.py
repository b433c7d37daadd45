"""Questions about a source's tables: what its constraints keep, whether its key holds, which child rows are whose."""
