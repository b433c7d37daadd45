"""Commands that show one thing: `hub ENTITY show`."""
