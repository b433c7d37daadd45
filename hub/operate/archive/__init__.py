"""The archive: stretches of the event topics in files, and what may be deleted from the topics afterwards."""
