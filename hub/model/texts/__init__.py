"""Texts: how names and letters are compared, how text from outside is shown, which name somebody meant."""
