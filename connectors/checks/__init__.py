"""Will a declaration run? Questions asked before anything is published."""
