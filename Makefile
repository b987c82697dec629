# `make demo` and `make test` set everything up by themselves on a fresh machine.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test lint setup
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -U pip setuptools wheel -c constraints.txt
	$(VENV)/bin/pip install -q torch -c constraints.txt
	$(VENV)/bin/pip install -q -e '.[dev]' -c constraints.txt
	touch $(STAMP)

demo: setup
	$(VENV)/bin/avatar create assets/clips/turn.mp4 --overwrite

test: setup
	$(VENV)/bin/python -m pytest

lint: setup
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
