# The only entry. Needs Python 3.11 or newer (with venv) and make; what is missing is said.
.DEFAULT_GOAL := help
.PHONY: help install install-demo demo run deliver format lint quick test bench-rules bench-mails bench-worker bench-repeats \
        bench-delivery chaos chaos-short chaos-delivery fault-matrix soak fuzz check lock doctor \
        system-packages fetch

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FOUR := consumer mailer rules_store schemas
# Without services: what `make test` runs beyond these needs a real part or builds the package.
QUICK := not kafka and not registry and not postgresql and not prometheus and not chromium \
         and not spamassassin and not postfix and not package
# Many of them wait for a process now and then: one more than there are processors keeps those busy.
SIDE_BY_SIDE := -n 3 --dist worksteal
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-header --no-annotate $(UPGRADE)
# Without bytecode each of the many commands that tests run would compile all of it first.
unexport PYTHONDONTWRITEBYTECODE
# Variables of a measurement as its options: EVENTS=5 becomes --events 5.
lower = $(shell echo $(1) | tr A-Z a-z)
options = $(foreach name,$(1),$(if $($(name)),--$(call lower,$(name)) $($(name))))
# What is installed with everything for tests is enough for the demo too.
FOR_DEMO := $(or $(wildcard $(VENV)/installed-dev),$(VENV)/installed-base)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed-dev ## set up .venv with everything, tests and tools included

install-demo: $(FOR_DEMO) ## set up .venv with what running needs

demo: install-demo ## show it all: broker, rules, mails, an inbox in the browser; Ctrl-C ends it
	@$(BIN)/push-services demo

run: install-demo ## turn payment events into mails, by the PUSH_ variables that are set
	@$(BIN)/push-services run

deliver: install-demo ## hand mails to the mail server, by the PUSH_ variables that are set
	@$(BIN)/push-services deliver

format: install ## rewrite the code as ruff would have it
	@$(BIN)/ruff check --fix --quiet $(FOUR) tests
	@$(BIN)/ruff format $(FOUR) tests

lint: install ## ruff, mypy, import-linter; rewrites nothing
	$(BIN)/ruff check $(FOUR) tests
	$(BIN)/ruff format --check $(FOUR) tests
	$(BIN)/mypy
	$(BIN)/lint-imports

quick: install ## the tests that need no service, properties tried with a fifth of the examples
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest $(SIDE_BY_SIDE) -m "$(QUICK)"

test: install fetch ## the whole suite; finds or starts the real parts, says what it left out
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "$(QUICK)"
	$(BIN)/pytest -m "not ($(QUICK))"

chaos: install fetch ## do workers, broker and database every harm under load; EVENTS= FAULTS= SEED= PROTOCOL=
	@$(BIN)/python -m tests.campaigns.chaos $(call options,EVENTS FAULTS SEED PROTOCOL WORKERS PACE)

chaos-short: install fetch ## the same in a few minutes, as the suite runs it
	@$(BIN)/python -m tests.campaigns.chaos --short $(call options,EVENTS FAULTS SEED PROTOCOL WORKERS PACE)

chaos-delivery: install fetch ## kill two delivery daemons under load, audit every mail (KILLS= SEED= CONNECTIONS=)
	@$(BIN)/python -m tests.campaigns.delivering $(call options,KILLS SEED CONNECTIONS)

fault-matrix: install ## every phase of SMTP with every fault, at 1:100 (SCALE= ONLY=)
	@$(BIN)/python -m tests.campaigns.faults $(call options,SCALE ONLY)

bench-delivery: install fetch ## deliver beside two simpler ways (MAILS= LOOP_MAILS= FAR_MAILS= ROUNDS=)
	@$(BIN)/python -m tests.benchmarks.delivery $(call options,MAILS LOOP_MAILS FAR_MAILS ROUNDS)

soak: install fetch ## keep a worker behind for half an hour: its memory does not grow (MINUTES= LIMIT=)
	@$(BIN)/python -m tests.campaigns.soak $(call options,MINUTES LIMIT)

bench-worker: install fetch ## the worker against the floor of its own loop (EVENTS= REPETITIONS= SECONDS=)
	@$(BIN)/python -m tests.benchmarks.worker $(call options,EVENTS REPETITIONS SECONDS)

bench-repeats: install fetch ## what remembering settled ids costs: bytes, seconds to restore (IDS= AT_ONCE=)
	@$(BIN)/python -m tests.benchmarks.repeats $(call options,IDS AT_ONCE)

bench-rules: install ## what a million rules cost: memory, look-ups, loads, changes felt, imports (RULES= CHANGES=)
	@held=0; \
	$(BIN)/python -m tests.benchmarks.rules $(call options,RULES CHANGES DATABASES FOLDER) || held=1; \
	$(BIN)/python -m tests.benchmarks.rules_import $(call options,RULES DATABASES) || held=1; \
	exit $$held

fuzz: install ## spoilt records through codec, peek, planner and renderer (RECORDS= SEED=)
	$(BIN)/python -m tests.campaigns.fuzz $(call options,RECORDS SEED)

bench-mails: install ## what a mail costs, next to the same templates in ordinary Jinja (MAILS, ROUNDS)
	@MAILS=$(or $(MAILS),2000) ROUNDS=$(or $(ROUNDS),7) $(BIN)/python -m tests.benchmarks.mails

check: lint test ## what must be green before anything lands

lock: install ## compile the locks from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) pyproject.toml -o requirements/base.lock
	$(COMPILE) pyproject.toml --group dev -c requirements/base.lock -o requirements/dev.lock
	$(COMPILE) --group build -c requirements/dev.lock -o requirements/build.lock

doctor: ## say what this machine has for running and testing, and what will be left out
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.real.doctor

system-packages: ## get what the tests use of Debian: a JVM, Maven, SQL shells, Prometheus, Postfix …
	@sh tests/real/system-packages.sh

fetch: install ## get Apache Kafka and the Schema Registry from Maven ahead of the tests
	@$(BIN)/python -m tests.real.fetch

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' \
	  || { echo "Python 3.11 or newer with its venv module is needed (Debian: apt-get install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The stamps are made last: an installation that was cut off is done again.
$(VENV)/installed-base: requirements/base.lock requirements/build.lock pyproject.toml | $(BIN)/python
	@echo "Installing what push-services needs into $(VENV)"
	@$(PIP) install --no-deps --require-hashes -r requirements/base.lock -r requirements/build.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing push-services, its tests and tools into $(VENV)"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
