"""The shapes that losses are timed and tested at: rows × classes of models that people train.

A row is an example or a token. Large vocabularies have few rows, so that a CPU gets through them.
Losses of a linear head take rows × features × classes.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """The shape of one batch of logits, and of how many features they are made, if of any."""

    name: str
    rows: int
    classes: int
    features: int = 0

    def __str__(self) -> str:
        sizes = (self.rows, self.features, self.classes) if self.features else self[1:3]
        return "×".join(map(str, sizes)) + (f" {self.name}" if self.name else "")


SHAPES = (
    Shape("digits", 8192, 10),
    Shape("COCO", 4096, 80),  # objects in a picture: one binary label each
    Shape("ImageNet", 4096, 1000),
    Shape("Llama-2", 1024, 32000),
    Shape("GPT-2", 128, 50257),
    Shape("Llama-3", 256, 128256),
    Shape("Qwen", 256, 151936),
    Shape("small head", 1024, 32000, features=512),
    Shape("Llama-2 head", 4096, 32000, features=1024),
    Shape("GPT-2 head", 1024, 50257, features=768),
    Shape("Llama-3 head", 8192, 128256, features=4096),
    Shape("Gemma-2 head", 8192, 256000, features=3584),
)

_QUICK = "digits", "COCO", "ImageNet", "GPT-2", "small head"
DEFAULT = tuple(shape for shape in SHAPES if shape.name in _QUICK)


def parse(text: str) -> Shape:
    """The shape of that name, or of sizes such as 64x1000, with features 64x32x1000."""
    text = text.strip().lower().replace("×", "x")
    for shape in SHAPES:
        if shape.name.lower() == text:
            return shape
    rows, *features, classes = map(int, text.split("x"))
    if min(rows, classes, *features) < 1 or len(features) > 1:
        raise ValueError(f"a shape is of rows and classes, or with features between, got {text}")
    return Shape("", rows, classes, *features)
