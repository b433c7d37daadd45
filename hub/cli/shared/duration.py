"""How views write a time span."""


def duration(seconds: float) -> str:
    """Return a time span as people read it: ``0.4 s``, ``12 min``, ``3 h 20 min``, ``5 d 2 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
