# make app        set up, start, open at http://localhost:8501
# make test       set up with the test tools, then lint, types and every test
# make tour-page  write the tour as a site that needs no server into tour-page/; APP=https://… is the app to link to
# make test-fast  the tests that need no browser and train no longer than a second
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: app test test-fast tour-page checkpoints leakage clean

app: $(VENV)/.app
	$(BIN)/python -m camdrop app

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

test-fast: $(VENV)/.tools
	$(PYTEST) --ignore tests/browser -m 'not slow'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CamDrop Lab needs Python 3.11 or newer; this is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Could not create $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.app: $(BIN)/python requirements.txt
	@echo "Setting up the app (once, some minutes: PyTorch is large) …"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.tools: $(VENV)/.app pyproject.toml
	@echo "Setting up the test tools (once) …"
	@$(PIP) install -e '.[app,test]'
	@$(PIP) install --no-deps 'grad-cam>=1.5.4' 'torchcam>=0.4' ttach
	@touch $@

$(VENV)/.test: $(VENV)/.tools scripts/get-chromium
	@scripts/get-chromium $(BIN)/python
	@touch $@

APP ?= http://localhost:8501/
tour-page: $(VENV)/.app
	$(BIN)/python -m scripts.save_tour tour-page --app $(APP)

# The checkpoints that ship (hours on two cores; after an interruption make goes on where it was).
METHODS := --methods baseline,dropblock,camdrop:reading=official --keep-prob 0.9 --threads 1
checkpoints: $(VENV)/.app
	$(BIN)/python scripts/make_checkpoints.py fashion-noise-resnet8 --preset noise --threads 1 --leakage
	$(BIN)/python scripts/make_checkpoints.py fashion-resnet8 --data fashion-mnist --preset fashion --block-size 7 $(METHODS)
	$(BIN)/python scripts/make_checkpoints.py cifar10-resnet20 --data cifar10 --model resnet20 --epochs 20 --validation 0.1 --schedule linear --stages layer3 --block-size 4 --methods baseline,dropblock,$(MATCHED):label=predicted --threads 1 --leakage

# results/leakage (five minutes): each network's own masks, the leak-free one's with other labels, and those of two baselines.
N := checkpoints/fashion-noise-resnet8
LEAKAGE := $(BIN)/python -m camdrop leakage --data fashion-sample --json
MATCHED := camdrop:block_size=4:reading=matched:channels=all:position_fraction=0.5
leakage: $(VENV)/.app
	for net in camdrop-leaky camdrop dropblock; do $(LEAKAGE) $N-$$net.safetensors > results/leakage/fashion-noise-$$net.json; done
	for label in true random; do $(LEAKAGE) $N-camdrop.safetensors --method $(MATCHED):label=$$label > results/leakage/fashion-noise-camdrop-$$label.json; done
	for net in fashion-noise fashion; do for label in true predicted random; do $(LEAKAGE) checkpoints/$$net-resnet8-baseline.safetensors --method camdrop:block_size=8:label=$$label > results/leakage/$$net-baseline-$$label.json; done; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
