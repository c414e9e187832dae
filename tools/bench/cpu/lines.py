"""A model line taken apart, as far as the networks that are compared here need it."""

from dataclasses import dataclass


@dataclass
class Part:
    kind: str
    numbers: list
    words: set  # options without a value

    @property
    def both(self):
        return self.kind.startswith("bi")

    @property
    def cell(self):
        return self.kind.removeprefix("bi")


def parts_of(line):
    parts = []
    for text in line.split("|"):
        kind, *rest = text.split()
        numbers = [int(word) for word in rest if word.isdigit()]
        parts.append(Part(kind, numbers, {word for word in rest if not word.isdigit()}))
    return parts


def known(part, *words):
    """Refuses an option that the other side would silently leave out."""
    if unknown := part.words - set(words):
        raise ValueError(f"{part.kind} {' '.join(unknown)} is unknown here")
