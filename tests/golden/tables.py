"""C++ tables."""
from exact_float import bits_of


def bits(x):
    return f"{bits_of(x):#010x}"


def literal(x):
    """A float, exactly: significand·2^exponent."""
    if x == 0:
        return "0.0f"
    units, exponent = abs(x).numerator, 1 - x.denominator.bit_length()
    while units % 2 == 0:
        units, exponent = units // 2, exponent + 1
    return f"{'-' if x < 0 else ''}{units:#x}p{exponent:+}f"


def wrapped(elements, indent="    ", width=100):
    lines, line = [], indent
    for element in elements:
        if len(line) + len(element) + 1 > width and line != indent:
            lines.append(line.rstrip())
            line = indent
        line += f"{element}, "
    return "\n".join([*lines, line.rstrip()])


def array(name, element_type, elements, alignment=""):
    return f"{alignment}inline constexpr {element_type} {name}[] = {{\n{wrapped(elements)}\n}};\n"


def header(comment, *parts, includes=("cstdint",)):
    text = "// Written by tests/golden/golden_vectors.py; do not edit.\n"
    text += "".join(f"// {line}\n" for line in comment.splitlines()) + "#pragma once\n\n"
    text += "".join(f"#include <{name}>\n" for name in includes)
    return text + "\nnamespace golden {\n\n" + "\n".join(parts) + "\n}  // namespace golden\n"
