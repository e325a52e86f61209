# make app    set up, start, open at http://localhost:8501
# make test   set up with the test tools, then lint, types and every test
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: app test checkpoints clean

app: $(VENV)/.app
	$(BIN)/streamlit run app.py

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CamDrop Lab needs Python 3.11 or newer; this is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Could not create $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.app: $(BIN)/python requirements.txt
	@echo "Setting up the app (once, some minutes: PyTorch is large) …"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.app pyproject.toml scripts/get-chromium
	@echo "Setting up the test tools (once) …"
	@$(PIP) install -e '.[app,test]'
	@$(PIP) install --no-deps 'grad-cam>=1.5.4' 'torchcam>=0.4' ttach
	@scripts/get-chromium $(BIN)/python
	@touch $@

# The checkpoints that ship: the same seed, data order and budget for each (about half an hour each on two cores).
checkpoints: $(VENV)/.app
	for method in baseline dropblock camdrop; do \
	  $(BIN)/python -m camdrop train --data fashion-mnist --model resnet8 --epochs 20 --keep-prob 0.9 --block-size 7 \
	    --reading official --method $$method --run runs/fashion-resnet8-$$method && \
	  cp runs/fashion-resnet8-$$method/last.safetensors checkpoints/fashion-resnet8-$$method.safetensors || exit 1; \
	done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
