# `make demo` and `make test` need make and a Python >= 3.11 with venv; the rest is installed into .venv.
#
# Set PYTHON to use an interpreter as it is, with nothing installed (`PYTHON=python3 make gpu-check` on a machine that
# has CuPy and pytest): gpuflow and gpuflow_kernels are then found through the path.
# `make demo CUDA=13` (or 12) installs CuPy for that CUDA along with the demo.

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-peers gpu-check docs clean
.DELETE_ON_ERROR:

VENV ?= .venv
LINKS := out/path
# what bench-peers compares with, in an environment of its own; never a dependency
PEERS ?= torch==2.13.* jax optax
ifneq ($(origin CUDA),command line)
CUDA :=   # a CUDA in the environment is often the toolkit's folder
endif

ifdef PYTHON
# kernels/ under its installed name, without installing
run = env PYTHONPATH="$(CURDIR)/$(LINKS):$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTHON)
demo_ready = $(LINKS)/gpuflow_kernels
test_ready = $(LINKS)/gpuflow_kernels
docs_ready = $(LINKS)/gpuflow_kernels
else
run = $(VENV)/bin/python
demo_ready = $(VENV)/.demo$(CUDA)
test_ready = $(VENV)/.test
docs_ready = $(VENV)/.docs
endif

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(demo_ready) ## train a network on handwritten digits, on the GPU if there is one; under a minute after installation
	$(run) examples/digits/main.py

test: $(test_ready) ## lint and all tests; the slowest are listed at the end
	@$(MAKE) --no-print-directory lint
	$(run) -m pytest -q --durations=15

lint: $(test_ready) ## ruff and mypy
	$(run) -m ruff check .
	$(run) -m mypy

bench: $(test_ready) ## every bench/bench_*.py on the devices present; tables go to bench/results
	@set -e; for file in bench/bench_*.py; do \
	    test -e "$$file" || { echo "make bench: no bench/bench_*.py here" >&2; exit 1; }; \
	    name=$${file#bench/}; echo "== $$name"; $(run) -m bench.$${name%.py}; \
	done

bench-peers: $(VENV)/peers/.ready ## every bench/peers_*.py beside other frameworks, in an environment of their own
	@set -e; for file in bench/peers_*.py; do \
	    test -e "$$file" || { echo "make bench-peers: no bench/peers_*.py here" >&2; exit 1; }; \
	    name=$${file#bench/}; echo "== $$name"; $(VENV)/peers/bin/python -m bench.$${name%.py}; \
	done

gpu-check: $(test_ready) ## what needs a GPU: tests marked gpu, then the kernels' benchmark, table last; under 8 minutes
	@$(run) -c 'import cupy; assert cupy.cuda.is_available()' \
	    || { echo "make gpu-check: CuPy sees no GPU from $(or $(PYTHON),$(VENV)/bin/python)" >&2; exit 1; }
	timeout 300 $(run) -m pytest -q -m gpu --durations=10
	timeout 170 $(run) -m bench.bench_kernels --device gpu

docs: $(docs_ready) ## the pages of docs/ and the reference, in out/docs; a warning is an error
	$(run) -m sphinx -W --keep-going -q -b html docs out/docs
	@echo "out/docs/index.html"

clean: ## remove what was built here, .venv included
	rm -rf $(VENV) out build dist gpuflow.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# What pip says goes to a log; the log is shown when it fails.
define install
	@echo "installing $(1) into $(2) (log: $(2)/install.log)"
	@$(2)/bin/python -m pip install --disable-pip-version-check $(1) > $(2)/install.log 2>&1 \
	    || { tail -n 40 $(2)/install.log >&2; echo "make: installing $(1) failed; whole log: $(2)/install.log" >&2; exit 1; }
endef

# Reinstalled only when the packaging changed: the installation is editable, so changed and new files are seen at once.
$(VENV)/.demo$(CUDA): pyproject.toml setup.py | $(VENV)/bin/python
	$(call install,-e '.[demo$(if $(CUDA),$(comma)cuda$(CUDA)x)]',$(VENV))
	@touch $@

$(VENV)/.test: pyproject.toml setup.py | $(VENV)/bin/python
	$(call install,-e '.[test]',$(VENV))
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml setup.py | $(VENV)/bin/python
	$(call install,-e '.[docs]',$(VENV))
	@touch $@

$(VENV)/peers/.ready: pyproject.toml setup.py | $(VENV)/bin/python
	@$(VENV)/bin/python -m venv $(VENV)/peers
	$(call install,-e '.[demo]' $(PEERS),$(VENV)/peers)
	@touch $@

comma := ,

# The first of these that is new enough and can make environments (Debian keeps that in python3-venv).
$(VENV)/bin/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
	    echo "making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	done; \
	echo "make: found no Python >= 3.11 that can make virtual environments." >&2; \
	echo "      On Debian or Ubuntu: apt-get install python3-venv. Or make it yourself: /path/to/python -m venv $(VENV)" >&2; \
	exit 1

$(LINKS)/gpuflow_kernels:
	@mkdir -p $(LINKS) && ln -sfn ../../kernels $@
