.PHONY: demo test lint docs clean

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev,docs]' && touch .venv/ready

demo: .venv/ready  ## train, evaluate and predict on scenes drawn on the spot
	.venv/bin/setpiece demo

test: .venv/ready  ## the whole suite
	.venv/bin/python -m pytest

lint: .venv/ready docs  ## ruff, mypy and the documentation's links
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

docs: .venv/ready  ## the documentation, as a site in build/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet && echo "The documentation is build/docs/index.html."

clean:  ## remove what make made
	rm -rf .venv
