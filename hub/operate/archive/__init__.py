"""The archive: stretches of the event topics in files, and what may then be deleted from the topics."""
