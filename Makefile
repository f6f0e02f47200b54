# make demo    installs, trains on generated shapes (six minutes on 2 fast cores), prints its IoU and a picture's path
# make test    installs and runs the whole test suite
# Both use a virtual environment of their own in .venv. PYTHON=… picks the interpreter, SEED=… the demo's seed.

PYTHON ?= $(shell for p in python3.11 python3.10 python3.9 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] < (3, 12))' 2>/dev/null && echo $$p && break; done)
SEED ?= 0
INSTALLED = .venv/installed
TESTABLE = .venv/testable

.PHONY: demo test clean

demo: $(INSTALLED)
	.venv/bin/redo-tf train --dataset=shapes --workdir=runs/demo-$(SEED) --set seed=$(SEED)
	.venv/bin/redo-tf evaluate --workdir=runs/demo-$(SEED) --split=test
	@echo "Input, true mask, inferred mask, and each region redrawn: $$(ls $(CURDIR)/runs/demo-$(SEED)/samples/*.png | tail -n 1)"

test: $(TESTABLE)
	.venv/bin/python -m pytest tests -n 2 --dist loadfile

$(INSTALLED): setup.py
	@test -n "$(PYTHON)" || { echo "ReDO-TF needs Python 3.9, 3.10 or 3.11 (python3.11 on the PATH, or PYTHON=…)." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --editable .
	@touch $@

$(TESTABLE): $(INSTALLED)
	.venv/bin/python -m pip install --quiet --editable .[test]
	@touch $@

clean:
	rm -rf .venv build *.egg-info
