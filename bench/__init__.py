"""Times jaxent's losses beside their peers', interleaved in one process, on the device JAX finds.

Before anything is timed, everyone's numbers are held against the loss's formula; who is wrong is
named, and not timed. In each round everyone is called once, in a random order, on inputs in turn.

The columns:

jaxent ms       the median time of a call
spread          half the distance between the quartiles, of the median
a peer ms       its median and, in brackets, that over jaxent's: above 1, jaxent is faster
jaxent ÷ floor  the floor is one elementwise exp of the logits on a CPU, and on an accelerator a
                copy of the bytes that must move
jaxent GB/s     the bytes that must move over jaxent's time: logits and dense labels read once, and
                in mode grad the logits read again and the gradient written
temp MB         what the compiled program allocates beside arguments and results
compile s       tracing, lowering and compiling, with nothing cached
"""
