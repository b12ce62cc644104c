"""When chips are looked at."""

#: Name -> seconds since programming; None: just programmed
YEAR = {
    "programmed": None,
    "1 h": 3600.0,
    "1 day": 86400.0,
    "30 days": 30 * 86400.0,
    "1 year": 365 * 86400.0,
}
