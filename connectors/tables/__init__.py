"""Questions about a source's tables: what constraints guarantee, whether the key holds, which child rows belong."""
