# Each target makes the virtual environment it needs. PYTHON chooses the interpreter it is made of.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
OLDEST = jax==0.10.0 jaxlib==0.10.0
# Tests spend most of their time on compiling. So tests whose result does not depend on XLA's
# optimisations run without them, and share compiled programs.
UNOPTIMIZED = JAX_DISABLE_MOST_OPTIMIZATIONS=1 JAX_COMPILATION_CACHE_DIR=$(VENV)/.compiled \
	JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0

.PHONY: train multilabel language-model grpo distillation mesh test test-all test-peers compared fuzz \
	precision bench ahead compiled-ahead lint format docs dist clean

train: $(VENV)/.examples  ## train a digit classifier, beside the same run with optax's loss
	$(RUN) -m examples.digits

multilabel: $(VENV)/.examples  ## train ten imbalanced binary classifiers with pos_weight and focal
	$(RUN) -m examples.multilabel

language-model: $(VENV)/.examples  ## train a small transformer, its logits never all held
	$(RUN) -m examples.language_model

grpo: $(VENV)/.examples  ## teach a small policy to add by reinforcement learning
	$(RUN) -m examples.grpo

distillation: $(VENV)/.examples  ## distil the transformer into a smaller one
	$(RUN) -m examples.distillation

mesh: $(VENV)/.examples  ## train the same over eight devices of a CPU, beside one
	$(RUN) -m examples.mesh

test: $(VENV)/.test  ## every test but the slowest, with a twentieth of its cases
	$(UNOPTIMIZED) $(RUN) -m pytest -n auto --one-in 20 -m "unoptimized and not exhaustive"
	$(RUN) -m pytest -n auto --one-in 20 -m "not unoptimized and not exhaustive"

test-all: $(VENV)/.test  ## every test, over every case of the table and on every mesh
	$(UNOPTIMIZED) $(RUN) -m pytest -n auto -m unoptimized
	$(RUN) -m pytest -n auto -m "not unoptimized" tests jaxent docs README.md

# PyTorch and Keras are large, and the tests need neither.
test-peers:  ## the calls of docs/coming-from beside PyTorch, Keras and optax, and the page on Flax
	$(MAKE) VENV=$(VENV)-peers compared

compared: $(VENV)/.peers
	$(RUN) -m pytest tests/test_coming_from.py tests/test_optax.py docs/guides/flax.md

fuzz: $(VENV)/.test  ## drawn inputs to every loss
	$(UNOPTIMIZED) $(RUN) -m pytest -n auto -m "" --examples 1000 tests/test_fuzz.py
	$(RUN) -m pytest -n auto -m "" --examples 200 tests/test_laws.py

precision: $(VENV)/.test  ## the table of errors, in units in the last place
	$(RUN) -m tests.precision

bench: $(VENV)/.bench  ## time every function beside optax's, or plain JAX
	$(RUN) -m bench

# The compilers for accelerators would be found, and complained of, by every other target.
ahead:  ## what the losses move on an H200 and a v5e, compiled without either
	$(MAKE) VENV=$(VENV)-ahead compiled-ahead

compiled-ahead: $(VENV)/.ahead
	$(RUN) -m bench.ahead

docs: $(VENV)/.docs  ## the site, in dist/site, its examples and the notebook; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet
	JAX_NUM_CPU_DEVICES=8 $(RUN) -m pytest -n auto docs
	$(VENV)/bin/jupyter execute examples/tour.ipynb
	@echo the site begins at dist/site/index.html

# The examples in the docstrings run as users run them: the package installed, far from its sources.
dist: $(VENV)/.dist  ## build and check the packages, and try them with the oldest and the newest JAX
	rm -rf dist/packages dist/oldest dist/newest
	$(RUN) -m build --quiet --outdir dist/packages
	$(RUN) -m twine check --strict dist/packages/*
	@for jax in oldest newest; do \
		echo the $$jax JAX: && \
		$(RUN) -m venv dist/$$jax && \
		dist/$$jax/bin/pip install --quiet --disable-pip-version-check pytest optax dist/packages/*.whl && \
		{ [ $$jax = newest ] || dist/$$jax/bin/pip install --quiet $(OLDEST); } && \
		(cd dist/$$jax && bin/python -m pytest -q --pyargs jaxent --doctest-modules \
			-o doctest_optionflags="NORMALIZE_WHITESPACE NUMBER") || exit 1; \
	done

lint: $(VENV)/.lint
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m pyright --pythonpath $(RUN)
	$(VENV)/bin/lint-imports
	$(RUN) -m docs.prose
	@if git rev-parse >/dev/null 2>&1; then $(VENV)/bin/md-dead-link-check; fi

format: $(VENV)/.lint
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

clean:
	rm -rf $(VENV) $(VENV)-ahead $(VENV)-peers dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One marker file per extra: installed again when pyproject.toml changes.
$(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@
