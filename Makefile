# `make run` runs the study, `make test` its tests. Each target works first on a fresh clone; see README.md.
# PYTHON names the interpreter that .venv is made with; EXTRAS the optional parts to install: where a platform has no
# wheels for one of them, `make run EXTRAS=dev` does without. LAB holds options for JupyterLab, OPTIONS those of the run.
PYTHON ?= python3
EXTRAS ?= dev,codecs,hdf5,simulation

.DELETE_ON_ERROR:
.PHONY: help run test test-root fuzz reference notebook lint constraints clean

VENV := .venv/bin/python
INSTALLED := .venv/.installed

help:
	@echo "make run        run every notebook in the quick profile, into runs/quick"
	@echo "make test       run the test suite"
	@echo "make fuzz       damage files and kill commands at random, minutes to hours, and count what comes of it"
	@echo "make test-root  compare slimmed files with their sources in ROOT, an alpha wheel of 250 MB, in .venv-root"
	@echo "make reference  the full study: refill models/, plots/ and the numbers on the pages, where they are out of date;"
	@echo "                make reference OPTIONS=--force does all of it anew"
	@echo "make notebook   open the notebooks in JupyterLab"
	@echo "make lint       ruff, mypy, the arrows between packages, dependencies, notebooks without outputs"
	@echo "make clean      remove .venv, .venv-root and runs"

run: $(INSTALLED)
	@$(VENV) -m compressionhep run --profile quick

test: $(INSTALLED)
	@$(VENV) -m pytest -n logical --maxprocesses 4 --dist worksteal

# FUZZ holds names of fuzzers and options, such as FUZZ="signals --seed 1"
fuzz: $(INSTALLED)
	@$(VENV) -m tests.fuzz $(FUZZ)

test-root: $(INSTALLED)
	@test -x .venv-root/bin/python || $(VENV) -m venv .venv-root
	@.venv-root/bin/python -m pip install --quiet --disable-pip-version-check root
	@COMPRESSIONHEP_ROOT=$(CURDIR)/.venv-root/bin/python $(VENV) -m pytest tests/test_trees_slim.py -k root_finds

reference: $(INSTALLED)
	@$(VENV) -m compressionhep run --profile reference $(OPTIONS)
	@$(VENV) -m compressionhep tables --write

notebook: $(INSTALLED)
	@cd CompressionHEP && ../$(VENV) -m jupyterlab $(LAB)

lint: $(INSTALLED)
	@$(VENV) -m ruff check
	@$(VENV) -m ruff format --check
	@$(VENV) -m mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@$(VENV) -m deptry .
	@$(VENV) -m nbstripout --verify CompressionHEP/*.ipynb

# The stamp holds the folder that the installed package points to: a clone that was moved is installed again.
ifneq ($(CURDIR),$(shell cat $(INSTALLED) 2>/dev/null))
$(INSTALLED): FORCE
endif
.PHONY: FORCE
FORCE:

$(INSTALLED): pyproject.toml constraints.txt
	@rm -f $@
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: this needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
	    "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@echo "installing into .venv (several GB with PyTorch, some minutes)"
	@$(VENV) -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools
	@PYTHONWARNINGS=ignore $(VENV) -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	  -c constraints.txt -e ".[$(EXTRAS)]"
	@echo "$(CURDIR)" > $@

# Resolve everything anew, to the newest releases that pyproject.toml allows, and pin it. Installs nothing.
constraints:
	@$(PYTHON) -m venv .venv
	@$(VENV) -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --prefer-binary \
	  --report .venv/resolved.json pip -e ".[$(EXTRAS)]"
	@$(VENV) -c 'import json; \
	  found = [item["metadata"] for item in json.load(open(".venv/resolved.json"))["install"]]; \
	  pins = sorted(m["name"].lower() + "==" + m["version"] for m in found if m["name"] != "compression-hep"); \
	  print("# What `make` installs, exactly. Made by `make constraints`.", *pins, sep="\n")' > .venv/constraints.txt
	@mv .venv/constraints.txt constraints.txt

clean:
	rm -rf .venv .venv-root runs
