# One task runner; CI calls the same targets. `make PYTHON=path/to/python target` picks the interpreter.
PYTHON ?= python

.PHONY: setup lint types test parity docs bench release-check gpu-check online-check

setup:            ## this checkout, editable, with what the checks need
	$(PYTHON) -m pip install -e ".[dev]"

lint:             ## style, imports between rooms
	$(PYTHON) -m ruff check .
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

types:
	$(PYTHON) -m mypy

test:             ## what must pass before a commit
	$(PYTHON) -m pytest -q -m "not slow and not peers and not online and not browser"

parity:           ## the same numbers as other implementations
	$(PYTHON) -m pytest -q tests/parity

docs:             ## docs/cli.md and the map in docs/architecture.md
	$(PYTHON) docs/generate.py

bench:
	$(PYTHON) benchmarks/startup.py

release-check:    ## the wheel alone, without the tools of development, in a venv of its own
	rm -rf dist build .venv-release
	$(PYTHON) -m build --wheel
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/pip install dist/*.whl
	cd .venv-release && bin/segformer --version && bin/segformer doctor && \
	  bin/segformer predict sample -w sample -o out --force --save mask,overlay

gpu-check:        ## tests that use a GPU where there is one
	$(PYTHON) -m pytest -q -m "not peers and not online and not browser"

online-check:     ## tests that reach the network
	$(PYTHON) -m pytest -q -m online
