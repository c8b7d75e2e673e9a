"""Spans of time as people write them."""


def in_words(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d`: two units at most."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds else "0 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(position for position, (number, _) in enumerate(units) if number)
    return " ".join(f"{number} {unit}" for number, unit in units[first : first + 2] if number)


def lasting(seconds: float) -> str:
    """In whole seconds, for what is out of date when it is read."""
    return in_words(int(seconds)) if seconds >= 60 else f"{int(seconds)} s"


def on_axis(seconds: float) -> str:
    """The same for a round value on an axis, where 0 needs no unit and 0.05 s all its digits."""
    if not seconds:
        return "0"
    return f"{seconds:g} s" if seconds < 60 else in_words(seconds)
