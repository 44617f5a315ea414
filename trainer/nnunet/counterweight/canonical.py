"""RFC 8785 canonical JSON of flat objects with ASCII keys, which a snapshot's header is."""

import decimal
import json


def canonical_object(values):
    """The canonical text of a dictionary of strings, numbers and None."""
    pairs = (f"{json.dumps(key)}:{_value(values[key])}" for key in sorted(values))
    return "{" + ",".join(pairs) + "}"


def _value(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return canonical_number(value)
    return json.dumps(value, ensure_ascii=False)


def canonical_number(value):
    """A number as ECMAScript prints it: shortest digits, 5.0 as "5", 1e-7 without a zero.

    Raises ValueError for infinity and NaN, which JSON does not have.
    """
    number = decimal.Decimal(repr(float(value)))
    if not number.is_finite():
        raise ValueError(f"{value} has no canonical form")
    sign, digits, exponent = number.normalize().as_tuple()
    text = "".join(map(str, digits))
    if text == "0":
        return "0"
    point = len(text) + exponent  # where the decimal point stands, from the first digit
    if point > 21 or point < -5:
        rest = f".{text[1:]}" if len(text) > 1 else ""
        body = f"{text[0]}{rest}e{point - 1:+d}"
    elif point <= 0:
        body = "0." + "0" * -point + text
    elif len(text) <= point:
        body = text + "0" * (point - len(text))
    else:
        body = f"{text[:point]}.{text[point:]}"
    return "-" * sign + body
