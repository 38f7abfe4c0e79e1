# make benchmark: everything a fresh machine needs, then the current pipeline.
# make test:      everything a fresh machine needs, then the tests, the linter and the type checker.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
# cuBLAS needs this for repeatable results; it changes nothing on a CPU.
export CUBLAS_WORKSPACE_CONFIG := :4096:8

.PHONY: help scm benchmark test unit lint types check-metrics history baseline documents search ui lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

benchmark: $(STAMP) scm  ## run the current pipeline, or PIPELINE=name (digits, digits-all, mnist, mnist-cpu, ...)
	@test -z "$(PIPELINE)" || python -m dgmbench use $(PIPELINE)
	@python -m dgmbench check
	dvc repro

# DVC refuses to run outside of git (a source archive) unless it is told so.
scm:
	@folder="$(CURDIR)"; while [ ! -e "$$folder/.git" ] && [ "$$folder" != / ]; do folder=$$(dirname "$$folder"); done; \
	if [ -e "$$folder/.git" ]; then \
		if grep -qs no_scm .dvc/config.local; then \
			sed '/no_scm *=/d' .dvc/config.local > .dvc/config.new && mv .dvc/config.new .dvc/config.local; \
		fi; \
	elif ! grep -qs no_scm .dvc/config.local; then \
		echo "no git repository here: DVC runs without one, and runs record no commit (.dvc/config.local)"; \
		printf '[core]\n    no_scm = true\n' >> .dvc/config.local; \
	fi

test: $(STAMP) lint types unit  ## tests, linter and type checker

unit: $(STAMP)
	python -m pytest -n auto --maxprocesses 4 --dist loadfile --durations=25

lint: $(STAMP)
	ruff check .
	ruff format --check .

types: $(STAMP)
	mypy

check-metrics: $(STAMP)  ## compare the current pipeline's metrics with the committed baseline (MARKDOWN=file)
	python -m stages.regression check $(if $(MARKDOWN),--markdown $(MARKDOWN))

history: $(STAMP)  ## draw the headline metrics over the revisions that changed them
	python -m dgmbench history

baseline: $(STAMP)  ## make the current metrics the new baseline
	python -m stages.regression make

documents: $(STAMP)  ## copy the tables of the committed reports into README.md and docs/
	python -m dgmbench.reporting.documents README.md docs/*.md

search: $(STAMP) scm  ## search the settings of the default's entries on validation images (hours; resumable)
	@python -m dgmbench check
	dvc repro searches/dvc.yaml

ui: $(STAMP)  ## the MLflow UI of all runs, on http://127.0.0.1:5000
	@python -m dgmbench ui

lock:  ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --no-emit-index-url --python-version 3.11 --group dev pyproject.toml -o requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet -r requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	test -d .dvc || $(BIN)/dvc init --quiet
	touch $(STAMP)

clean:  ## remove what the pipeline made (not the environment, not the committed reports)
	rm -rf data store runs results provenance checkpoints mlflow.db mlartifacts .dvc/cache
