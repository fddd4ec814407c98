"""Times every function of jaxent beside optax, plain JAX, Keras and PyTorch, on JAX's device.

`bench.cases` is the table of what is timed. Each case is timed beside optax's function, or beside
plain JAX where optax has none. Every result is first compared with the plain formula in float32;
wrong results are named and not timed. Each round calls everyone once, in random order.

For each case, mode, shape and dtype a line gives the median milliseconds of a call, and behind it
the time over jaxent's of the same round: its median and quartiles. Above 1, jaxent is faster. The
floor is one elementwise exp of the logits, or the product that makes the logits of a linear head.
"""
