"""Numbers as text."""

from __future__ import annotations

from emprune_lab.report.equal import SpeedUp
from emprune_lab.report.intervals import Estimate

NONE = "–"


def signed(number: float, digits: int = 2) -> str:
    """With sign, and a true minus.

    >>> signed(-1.234), signed(0.5)
    ('−1.23', '+0.50')
    """
    # Adding zero turns the -0.0 of rounding into 0.0.
    return f"{round(number, digits) + 0.0:+.{digits}f}".replace("-", "−")


def format_mean(estimate: Estimate, digits: int = 2) -> str:
    """Mean ± half the interval's length."""
    half = estimate.half_width
    return f"{estimate.value:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def format_difference(estimate: Estimate | None, digits: int = 2) -> str:
    """Signed, with its interval in brackets."""
    if estimate is None:
        return NONE
    value = signed(estimate.value, digits)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def format_gap(estimate: Estimate | None) -> str:
    """Gap closed, with its interval in brackets; "(…)" around a value that the seeds do not pin down."""
    if estimate is None:
        return NONE
    value = f"{estimate.value:.2f}"
    if estimate.low is not None:
        value += f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    elif estimate.count > 1:
        value = f"({value})"
    return value.replace("-", "−")


def format_seconds(seconds: float) -> str:
    """Three digits, no more; 0 where nothing was measured.

    >>> format_seconds(0.00961), format_seconds(5.273), format_seconds(812.4), format_seconds(0)
    ('0.010', '5.27', '812', '0')
    """
    if not seconds:
        return "0"
    digits = 3 if seconds < 1 else 2 if seconds < 10 else 1 if seconds < 100 else 0
    return f"{seconds:.{digits}f}"


def format_ratio(ratio: float | None) -> str:
    """Two decimals."""
    return NONE if ratio is None else f"{ratio:.2f}"


def format_speed_up(speed_up: SpeedUp | None) -> str:
    """Two decimals, and whether it is a bound; its interval in brackets, one number where that is beyond all.

    >>> format_speed_up(SpeedUp(10 / 3, "≥")), format_speed_up(SpeedUp(1.166))
    ('≥ 3.33', '1.17')
    >>> format_speed_up(SpeedUp(2.05, "", 1.704, 10 / 3, high_bound="≥"))
    '2.05 [1.70, ≥ 3.33]'
    >>> format_speed_up(SpeedUp(10 / 3, "≥", 10 / 3, 10 / 3, "≥", "≥"))
    '≥ 3.33 [≥ 3.33]'
    """
    if speed_up is None:
        return NONE
    value = _bounded(speed_up.bound, speed_up.value)
    if speed_up.low is None or speed_up.high is None:
        return value
    ends = [_bounded(speed_up.low_bound, speed_up.low), _bounded(speed_up.high_bound, speed_up.high)]
    if speed_up.low_bound == "≥":
        ends = ends[:1]
    elif speed_up.high_bound == "≤":
        ends = ends[1:]
    return f"{value} [{', '.join(ends)}]"


def _bounded(bound: str, number: float) -> str:
    return f"{bound} {number:.2f}".lstrip()
