"""Reference data that no source database holds: units and procedures; look up, count residents, recode."""
