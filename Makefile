# One task runner; CI calls the same targets. `make PYTHON=path/to/python target` picks the interpreter.
PYTHON ?= python

.PHONY: setup lint types test slow browser node parity docs bench release-check gpu-check online-check

setup:            ## this checkout, editable, with what the checks need
	$(PYTHON) -m pip install -e ".[dev]"

lint:             ## style, imports between rooms
	$(PYTHON) -m ruff check .
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

types:
	$(PYTHON) -m mypy

test:             ## what must pass before a commit
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "not slow and not peers and not online and not browser"

slow:             ## what takes longer than ten seconds
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "slow and not peers and not online"

browser:          ## reports in a headless Chromium
	$(PYTHON) -m pytest -q -m browser

node:             ## the JavaScript of docs/deploy.md
	npm install --silent --prefix .node onnxruntime-web
	$(PYTHON) -m pytest -q -m node

parity:           ## the same numbers as other implementations, mmsegmentation (extra `peers`) included
	SEGFORMER_PARITY=all $(PYTHON) -m pytest -q --continue-on-collection-errors tests/parity

docs:             ## docs/cli.md and the map in docs/architecture.md
	$(PYTHON) docs/generate.py

bench:            ## startup, forward pass, training step and counting, each against its rival; eval's own costs
	$(PYTHON) benchmarks/startup.py
	$(PYTHON) benchmarks/inference.py
	$(PYTHON) benchmarks/training.py
	PYTHONPATH=. $(PYTHON) benchmarks/metrics.py
	$(PYTHON) benchmarks/evaluation.py
	$(PYTHON) benchmarks/independence.py

release-check:    ## the wheel alone, without the tools of development, in a venv of its own
	rm -rf dist build .venv-release
	$(PYTHON) -m build --wheel
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/pip install dist/*.whl
	cd .venv-release && bin/segformer --version && bin/segformer doctor && \
	  bin/segformer predict sample -w sample -o out --force --save mask,overlay

gpu-check:        ## the same score, the pixels that differ, exports, training and the speed on a GPU
	$(PYTHON) -m segformer_cli eval -w sample --device cuda --precision fp32 --min-miou 0.70
	$(PYTHON) -m segformer_cli train -d sample --iterations 20 --device cuda -o runs/gpu-check --force
	$(PYTHON) benchmarks/inference.py --device cuda
	$(PYTHON) benchmarks/independence.py --device cuda
	$(PYTHON) benchmarks/exports_on_gpu.py
	$(PYTHON) benchmarks/training.py --device cuda --batch-size 8 --variants b0,b2,b5
	$(PYTHON) -m segformer_cli eval-robust --cityscapes-c -w sample --limit 4 --device cuda -o runs/gpu-check-robust --force

online-check:     ## tests that reach the network
	$(PYTHON) -m pytest -q -m online
