"""Finds sentences that break the rules of prose: `python -m docs.prose`.

A sentence has one fact, a subject that acts, and the words of the field. Code, tables and formulas
are left out.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/*.md", "docs/coming-from/*.md", "docs/guides/*.md")
LONGEST = 36  # words
OPENINGS = "Of", "Beside", "Who", "What is", "Be it", "Were it", "There is", "There are"
WORDS = {
    "class number": "class index",
    "class numbers": "class indices",
    "hand on": "pass",
    "in order to": "to",
    "it should be noted": "",
    "leverage": "use",
    "simply": "",
    "obviously": "",
    "of course": "",
    "utilize": "use",
    "blazing": "",
    "by-products": "auxiliary arrays",
}


def sentences(text: str) -> Iterator[str]:
    text = re.sub(r"```.*?```|<!--.*?-->|^(?:\||    |#)[^\n]*$", "", text, flags=re.S | re.M)
    text = re.sub(r"`[^`]*`", "Code", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    for paragraph in re.split(r"\n\s*\n|^\s*[-*] ", text, flags=re.M):
        line = " ".join(paragraph.split())
        yield from re.split(r"(?<=[.!?:])\s+(?=[A-Z*]|jaxent\b|optax\b)", line)


def faults(sentence: str) -> Iterator[str]:
    plain = sentence.replace("*", "")
    if len(plain.split()) > LONGEST:
        yield f"{len(plain.split())} words"
    for opening in OPENINGS:
        if plain.startswith(f"{opening} "):
            yield f'begins with "{opening}"'
    for word, better in WORDS.items():
        if re.search(rf"\b{word}\b", plain, re.I):
            yield f'"{word}"' + (f': write "{better}"' if better else "")


def main() -> int:
    found = 0
    for page in sorted(page for pages in PAGES for page in ROOT.glob(pages)):
        for sentence in sentences(page.read_text()):
            for fault in faults(sentence):
                found += 1
                print(f"{page.relative_to(ROOT)}: {fault}: {sentence}")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
