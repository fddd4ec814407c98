"""The shapes that losses are timed and tested at: rows × classes of models that people train.

A row is an example or a token. Large vocabularies have few rows, so that a CPU gets through them.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """The shape of one batch of logits."""

    name: str
    rows: int
    classes: int

    def __str__(self) -> str:
        size = f"{self.rows}×{self.classes}"
        return f"{size} {self.name}" if self.name else size


SHAPES = (
    Shape("digits", 8192, 10),
    Shape("COCO", 4096, 80),  # objects in a picture: one binary label each
    Shape("ImageNet", 4096, 1000),
    Shape("Llama-2", 1024, 32000),
    Shape("GPT-2", 128, 50257),
    Shape("Llama-3", 256, 128256),
    Shape("Qwen", 256, 151936),
)

DEFAULT = tuple(shape for shape in SHAPES if shape.name in ("digits", "COCO", "ImageNet", "GPT-2"))


def parse(text: str) -> Shape:
    """The shape of that name, or of rows and classes such as 64x1000."""
    for shape in SHAPES:
        if shape.name.lower() == text.lower():
            return shape
    rows, classes = map(int, text.split("x"))
    if min(rows, classes) < 1:
        raise ValueError(f"a shape has at least one row and one class, got {text}")
    return Shape("", rows, classes)
