"""Administrative units: publish them, look them up, count residents, recode residences."""
