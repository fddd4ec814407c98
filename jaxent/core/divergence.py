r"""Relative entropy without cancellation, and its derivative rules.

Σ t log(t/s) sums terms of both signs. For close distributions almost all of it cancels. Since
Σ t = Σ s = 1, the sum of the *Bregman* terms is the same number, and each term is ≥ 0:

    t log(t/s) − t + s  =  t (x + expm1(−x)),     x = log t − log s

An error in a normaliser is the same in every x. It changes the sum to second order only, since
every term is a function of x. The remaining error is the rounding of each logit's distance from its
maximum. In float32, two distributions over 50 classes with logits 1e-4 apart have a divergence of
4e-9. This computes three digits of it, the sum of t log(t/s) none.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from jaxent.core import lower
from jaxent.core.dtypes import widen_both
from jaxent.core.mesh import select
from jaxent.core.tangents import along
from jaxent.core.xlogy import log_of_sum, quotient, weigh

# x + expm1(−x) = x²/2! − x³/3! + … for |x| < 1/2, to the precision of float64 and of float32.
_SERIES = [(-1) ** k / math.factorial(k) for k in range(15, 1, -1)]
_SHORT_SERIES = _SERIES[-9:]


def bregman(t: Array, s: Array, x: Array) -> Array:
    """t log(t/s) − t + s, given x = log(t/s)."""
    near, x_near = _near(x)
    return select(near, t * _series(x_near), weigh(t, x) - t + s)


def excess(t: Array, s: Array, x: Array) -> Array:
    """s − t, given x = log(t/s)."""
    near, x_near = _near(x)
    return select(near, t * (_series(x_near) - x_near), s - t)


def _near(x: Array) -> tuple[Array, Array]:
    near = jnp.abs(x) < 0.5
    return near, select(near, x, 0)


def _series(x: Array) -> Array:
    """x + expm1(−x)."""
    first, *others = _SERIES if x.dtype == jnp.float64 else _SHORT_SERIES
    series = jnp.full_like(x, first)
    for coefficient in others:
        series = series * x + coefficient
    return series * x * x


@jax.custom_jvp
def kl_terms(log_p: Array, t: Array) -> Array:
    """t (log t − log p). The derivative by log p is −t, and by t it is log t − log p + 1."""
    log_p, t = widen_both(log_p, t)
    # |t|, since a compiler turns a boolean weight times x into a selection, which drops a NaN of x.
    return lower.weigh(jnp.abs(t), _ratio_of_logs(jnp.log(t), log_p))


def _kl_terms_jvp(primals, tangents):
    log_p, t = widen_both(*lower.reread(primals))
    return kl_terms(*primals), along(tangents, -t, _unless_0(t, _log_of_nonzero(t) - log_p + 1))


kl_terms.defjvp(_kl_terms_jvp, symbolic_zeros=True)


@jax.custom_jvp
def kl_terms_of_logs(log_p: Array, log_t: Array) -> Array:
    """t (log t − log p). The derivative by log p is −t, by log t it is t (log t − log p + 1)."""
    log_p, log_t = widen_both(log_p, log_t)
    return lower.weigh(jnp.exp(log_t), _ratio_of_logs(log_t, log_p))


def _kl_terms_of_logs_jvp(primals, tangents):
    log_p, log_t = widen_both(*lower.reread(primals))
    t = jnp.exp(log_t)
    return kl_terms_of_logs(*primals), along(
        tangents, -t, weigh(t, _ratio_of_logs(log_t, log_p) + 1)
    )


kl_terms_of_logs.defjvp(_kl_terms_of_logs_jvp, symbolic_zeros=True)


def _ratio_of_logs(log_t: Array, log_p: Array) -> Array:
    """log t − log p, infinite at most for one of the two."""
    # The exponential of a smaller number is 0.
    return jnp.maximum(log_t, 2 * math.log(jnp.finfo(log_t.dtype).tiny)) - log_p


@jax.custom_jvp
def generalized_kl_terms(log_p: Array, t: Array) -> Array:
    """t (log t − log p) − t + p. The derivative by log p is p − t, by t it is log t − log p."""
    log_p, t = widen_both(log_p, t)
    return bregman(t, jnp.exp(log_p), _log_ratio(t, log_p))


def _generalized_kl_terms_jvp(primals, tangents):
    log_p, t = widen_both(*lower.reread(primals))
    log_p, t = lower.finite_again(log_p), lower.probability_again(t)
    x = _log_ratio(t, log_p)
    slopes = excess(t, jnp.exp(log_p), x), _unless_0(t, _log_of_nonzero(t) - log_p)
    return generalized_kl_terms(*primals), along(tangents, *slopes)


generalized_kl_terms.defjvp(_generalized_kl_terms_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _unless_0(t: Array, slope: Array) -> Array:
    """The slope of a term by its weight t, and 0 where t is 0 and the true slope is infinite.

    Its rule is not the derivative of this selection. At t = 0 the slope's tangent by the other
    argument stays, so that second derivatives are symmetric.
    """
    return select(t == 0, 0, slope)


@_unless_0.defjvp
def _unless_0_jvp(primals, tangents):
    return _unless_0(*primals), tangents[1]


def _log_of_nonzero(t: Array) -> Array:
    """log t, and 0 without derivative where t is 0."""
    return jnp.log(select(t == 0, 1, t))


def _log_ratio(t: Array, log_p: Array) -> Array:
    """log t − log p, which is −inf where t is 0, whatever p is."""
    return select(t == 0, -jnp.inf, _log_of_nonzero(t) - log_p)


@jax.custom_jvp
def js_terms(t: Array, s: Array) -> Array:
    """(t log(t/m) + s log(s/m)) / 2 for m = (t + s)/2. The derivative by t is log(t/m)/2."""
    t, s = widen_both(t, s)
    m = (t + s) / 2
    x, y = (select(a == 0, -jnp.inf, _log_share(a, b)) for a, b in ((t, s), (s, t)))
    return (bregman(t, m, x) + bregman(s, m, y)) / 2


def _js_terms_jvp(primals, tangents):
    t, s = map(lower.probability_again, widen_both(*lower.reread(primals)))
    slopes = _unless_0(t, _log_share(t, s)) / 2, _unless_0(s, _log_share(s, t)) / 2
    return js_terms(*primals), along(tangents, *slopes)


js_terms.defjvp(_js_terms_jvp, symbolic_zeros=True)


def _log_share(t: Array, s: Array) -> Array:
    """log(t/m) for m = (t + s)/2: log(1 + (t − s)/(t + s)) where the two are close.

    At t = 0 the derivative by t is 0 and the one by s is right. The value there is arbitrary.
    """
    absent = t == 0
    t = select(absent, 0, t)
    total = select(t + s == 0, 1, t + s)
    r = quotient(t - s, total)
    near = (r > -0.25) & (r < 0.5)
    share = quotient(2 * select(absent, 1, t), total)
    return log_of_sum(select(near, 1 + r, share), select(near, r, 0), near)
