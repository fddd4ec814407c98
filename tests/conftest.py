"""Every test runs under strict dtype promotion, with rank promotion an error."""

import hypothesis
import jax

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("jaxent", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("jaxent")
