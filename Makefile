# `make demo` and `make test` set everything up by themselves on a fresh machine.
#
#   PYTHON  the interpreter, 3.11 to 3.13
#   TORCH   more options for pip when it installs torch, for example the smaller build without CUDA:
#           make demo TORCH="--index-url URL", with the URL that PyTorch's site gives for CPUs
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
TORCH ?=
VENV := .venv
PIP := $(VENV)/bin/pip install -q -c constraints.txt

.PHONY: demo test lint docs wheel
# What the program needs, and nothing for its development.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -U pip setuptools wheel
	$(PIP) torch $(TORCH)
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) torch torchvision $(TORCH)
	$(PIP) -e '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(VENV)/bin/avatar create assets/clips/turn.mp4 --overwrite

# Files of tests are shared out among processes. The second call pretends a GPU, so it has processes of its own.
PARALLEL := -n logical --maxprocesses 4 --dist loadgroup
test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest $(PARALLEL)
	$(VENV)/bin/python -m pytest $(PARALLEL) -m emulated tests/emulated

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

docs: $(VENV)/.installed-dev
	$(VENV)/bin/mkdocs build --strict

wheel: $(VENV)/.installed-dev
	$(VENV)/bin/python -m build
