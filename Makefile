.PHONY: demo test lint lint-pages clean

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]' && touch .venv/ready

demo: .venv/ready  ## train, evaluate and predict on scenes drawn on the spot
	.venv/bin/setpiece demo

test: .venv/ready  ## the whole suite
	.venv/bin/python -m pytest

lint: .venv/ready lint-pages  ## ruff, mypy, and eslint and tsc where there is node
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

lint-pages:  ## the pages' JavaScript
	@if command -v npm > /dev/null; then npm ci --silent && npm run --silent lint; \
	else echo "There is no node here: the pages' JavaScript is not checked."; fi

clean:  ## remove what make made
	rm -rf .venv node_modules
