.PHONY: demo test lint clean

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]' && touch .venv/ready

demo: .venv/ready  ## train, evaluate and predict on scenes drawn on the spot
	.venv/bin/setpiece demo

test: .venv/ready  ## the whole suite
	.venv/bin/python -m pytest

lint: .venv/ready  ## ruff and mypy
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

clean:  ## remove what make made
	rm -rf .venv
