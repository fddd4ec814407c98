"""The shapes of models that people train, rows × classes. A row is an example or a token.

Linear heads take rows × features × classes. Large vocabularies have few rows, to suit a CPU.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """One batch of logits. `features` is 0 unless a linear head makes them."""

    name: str
    rows: int
    classes: int
    features: int = 0

    def __str__(self) -> str:
        sizes = (self.rows, self.features, self.classes) if self.features else self[1:3]
        return f"{'×'.join(map(str, sizes))} {self.name}".rstrip()


SHAPES = (
    Shape("digits", 8192, 10),
    Shape("COCO", 4096, 80),  # one binary label for each kind of object
    Shape("ImageNet", 4096, 1000),
    Shape("DALL-E", 512, 8192),
    Shape("Llama-2", 1024, 32000),
    Shape("GPT-2", 256, 50257),
    Shape("Llama-3", 256, 128256),
    Shape("Qwen", 256, 151936),
    Shape("DALL-E head", 512, 8192, features=512),
    Shape("small head", 1024, 32000, features=512),
    Shape("Llama-2 head", 4096, 32000, features=1024),
    Shape("GPT-2 head", 1024, 50257, features=768),
    Shape("Llama-3 head", 8192, 128256, features=4096),
    Shape("Gemma-2 head", 8192, 256000, features=3584),
)

DEFAULT = "digits,ImageNet,DALL-E,GPT-2,DALL-E head"


def parse(text: str) -> Shape:
    """The shape of that name, or of sizes such as 64x1000, with features 64x32x1000."""
    text = text.strip().lower().replace("×", "x")
    for shape in SHAPES:
        if shape.name.lower() == text:
            return shape
    rows, *features, classes = map(int, text.split("x"))
    if min(rows, classes, *features) < 1 or len(features) > 1:
        raise ValueError(f"a shape is rows×classes or rows×features×classes, got {text}")
    return Shape("", rows, classes, *features)
