"""Text that came from elsewhere, fit to be read by people. Pure."""


def plain(text: str) -> str:
    """`text` with every character that could steer a terminal, or hide, made visible."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def plain_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(plain(line) for line in text.split("\n"))
