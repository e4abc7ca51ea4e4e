"""What the binary operators do to two numbers."""

import math


def apply(op: str, left: float, right: float) -> float:
    """`left op right` as Loki counts: a division by zero is NaN, a comparison is 1 or 0."""
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right if right else math.nan
        case "%":
            return math.fmod(left, right) if right and not math.isinf(left) else math.nan
        case "^":
            return _power(left, right)
        case _:
            return float(compare(op, left, right))


def compare(op: str, left: float, right: float) -> bool:
    """Whether a comparison holds."""
    match op:
        case "==":
            return left == right
        case "!=":
            return left != right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case _:
            raise ValueError(op)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan
