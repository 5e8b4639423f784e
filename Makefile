# The project's commands; `make` alone lists them. Variables are set on the command line:
#   make setup PYTHON3=python3.12   creates .venv with that Python
#   make book BIN=                  uses the commands on the PATH instead of .venv (conda)

PYTHON3     := python3
VENV        := .venv
BIN         := $(VENV)/bin/
HTML        := _build/html
REMOTE      := origin
BRANCH      := gh-pages
PYTEST_ARGS :=
BENCH       := operations step decode probes growth start explorer
LOCK_ARGS   :=

# What the lock files hold beyond pyproject.toml's ranges.
LOCK_PINS := torch==2.13.0 torchvision==0.28.0

# An environment named on the command line is used as it is.
READY := $(if $(filter command,$(origin BIN)),,$(VENV)/.ready)

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup reproduce book check test bench publish lock clean FORCE

help: ## list these targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## create .venv with the exact packages of requirements.lock
	@echo "setup: $(VENV) is ready"

reproduce: $(READY) ## train at scale smoke, run every notebook, build the book
	@echo "reproduce 1/3: notebooks at scale smoke (training where runs/ lacks a result)"
	$(BIN)aesthlib study --scale smoke
	@echo "reproduce 2/3: notebooks at scale study, from the committed records"
	$(BIN)aesthlib study --scale study --load-only
	@echo "reproduce 3/3: book"
	$(build_book)

book: $(READY) ## build the book from the committed records, without training
	@echo "book 1/3: notebooks at scale smoke, from the committed records"
	$(BIN)aesthlib study --scale smoke --load-only
	@echo "book 2/3: notebooks at scale study, from the committed records"
	$(BIN)aesthlib study --scale study --load-only
	@echo "book 3/3: pages"
	$(build_book)

check: $(READY) ## formatter and linter, as continuous integration runs them
	$(BIN)python -m ruff format --check .
	$(BIN)python -m ruff check .

test: $(READY) ## run all tests; PYTEST_ARGS="-k losses" selects some
	$(BIN)python -m pytest $(PYTEST_ARGS)

bench: $(READY) ## measure speed and write the book's page of it; BENCH="step gpu" selects
	@for name in $(BENCH); do $(BIN)python -W ignore benchmarks/$$name.py || exit; done
	$(BIN)python benchmarks/page.py

publish: $(READY) ## push the built book to the branch gh-pages (REMOTE=origin)
	@test -f "$(HTML)/index.html" && test ! -e "$(HTML)/../.started" || { \
	  echo "publish: no complete book in $(HTML); run 'make book' first" >&2; exit 1; }
	@test "$(BRANCH)" != "$$(git branch --show-current)" || { \
	  echo "publish: BRANCH=$(BRANCH) is checked out here; name a branch for the book alone" >&2; exit 1; }
	@# The published branch grows from what the remote holds, never over it.
	@if git ls-remote --exit-code --heads "$(REMOTE)" "refs/heads/$(BRANCH)" >/dev/null; then \
	  git fetch --quiet "$(REMOTE)" "+refs/heads/$(BRANCH):refs/heads/$(BRANCH)"; \
	else s=$$?; test $$s -eq 2 || { echo "publish: cannot read the remote $(REMOTE)" >&2; exit 1; }; fi
	$(BIN)python -m ghp_import --no-jekyll --push --remote "$(REMOTE)" --branch "$(BRANCH)" \
	  --message "Publish the book" "$(HTML)"
	@echo "publish: $(HTML) is on the branch $(BRANCH) of $(REMOTE)"

lock: $(VENV)/.base ## write the lock files anew; LOCK_ARGS=--upgrade moves every version
	echo uv | $(VENV)/bin/python -m uv pip compile - $(lock_options) -o requirements-uv.lock
	printf '%s\n' $(LOCK_PINS) | $(VENV)/bin/python -m uv pip compile pyproject.toml - $(lock_extras) \
	  $(lock_options) -o requirements.lock

clean: ## remove the built book and caches; runs/ and .venv stay
	rm -rf _build book/executed $(EXPLORE) node_modules .pytest_cache .ruff_cache *.egg-info
	find aesthlib tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Not bench: peers are measured where somebody installs them.
lock_extras = --extra book --extra test --extra dev --extra heic
lock_options = --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)

# Builds the pages when one of their inputs is newer than the last complete build, from
# nothing (--all): an incremental build repeats no warning, so a build that failed once
# would pass the second time. _build/.started is left by a build that failed or was cut off.
BOOK_STAMP  := _build/.complete
EXPLORE     := book/extra/explorer/built
BOOK_INPUTS := book _config.yml aesthlib requirements.lock
define build_book
@# The explore page runs its network with onnxruntime-web; without npm the page does without.
@if [ node_modules/.package-lock.json -nt package-lock.json ]; then :; \
elif command -v npm >/dev/null; then \
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 || \
  echo "book: npm could not fetch onnxruntime-web: the explore page does without its network" >&2; \
else echo "book: no npm here: the explore page does without its network" >&2; fi
$(BIN)aesthlib export $(EXPLORE)
@if [ -f $(HTML)/index.html ] && [ -f $(BOOK_STAMP) ] && [ -z "$$(find $(BOOK_INPUTS) \
     -name __pycache__ -prune -o -type f -newer $(BOOK_STAMP) -print | head -n 1)" ]; then \
  echo "the pages are up to date"; \
else \
  rm -rf $(HTML) $(BOOK_STAMP) && mkdir -p _build && touch _build/.started && \
  $(BIN)jupyter-book build book --config _config.yml --path-output . -W -n --keep-going --all && \
  mv _build/.started $(BOOK_STAMP); \
fi
@echo
@echo "The book: $(CURDIR)/$(HTML)/index.html"
@echo "Open that file in a browser, or run: python3 -m http.server -d $(HTML)"
endef

# Set-up in three steps, each with its stamp, so that an interrupted one goes on where it
# stopped. .base holds the folder's path: an environment that was copied or moved along
# with the project still points to the old place, and is made anew.
ifneq ($(shell test -x $(VENV)/bin/python && cat $(VENV)/.base 2>/dev/null),$(CURDIR))
$(VENV)/.base: FORCE
endif

$(VENV)/.base: requirements-uv.lock
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "setup: Python 3.11 or newer is needed, and $(PYTHON3) is: $$($(PYTHON3) --version 2>&1)" >&2; \
	  echo "setup: install one and name it: make setup PYTHON3=python3.12" >&2; exit 1; }
	@$(PYTHON3) -c 'import ensurepip, venv' || { \
	  echo "setup: $(PYTHON3) lacks venv or ensurepip (on Debian: install python3-venv)" >&2; exit 1; }
	@echo "setup 1/3: $(VENV) and uv"
	@$(PYTHON3) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
	  --require-hashes -r requirements-uv.lock
	@echo "$(CURDIR)" > $@

# .syncing outlives an interruption: a package may then be half there, so all are laid anew.
$(VENV)/.synced: $(VENV)/.base requirements.lock
	@echo "setup 2/3: packages (several GB on the first time, most of it torch)"
	@again=; test ! -e $(VENV)/.syncing || again=--reinstall; touch $(VENV)/.syncing; \
	UV_HTTP_TIMEOUT=300 $(VENV)/bin/python -m uv pip sync --python $(VENV)/bin/python $$again \
	  --compile-bytecode --only-binary :all: --require-hashes requirements.lock
	@rm $(VENV)/.syncing && touch $@

$(VENV)/.ready: $(VENV)/.synced pyproject.toml
	@echo "setup 3/3: the project itself"
	@$(VENV)/bin/python -m uv pip install --python $(VENV)/bin/python --quiet --no-deps \
	  --no-build-isolation --editable .
	@touch $@
