"""Arrays in, statistics out: the mathematics of the losses and every derivative rule."""
