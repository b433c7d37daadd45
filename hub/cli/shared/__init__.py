"""What all commands share: screen, options, progress, settings and connections."""
