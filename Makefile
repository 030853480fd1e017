.PHONY: demo test lint wheel lowest clean

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]' && touch .venv/ready

demo: .venv/ready  ## train, evaluate and predict on scenes drawn on the spot
	.venv/bin/setpiece demo

test: .venv/ready  ## the whole suite
	.venv/bin/python -m pytest

lint: .venv/ready  ## ruff and mypy
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

wheel: .venv/ready  ## build the wheel, install it away from the checkout and use it
	.venv/bin/python tools/check_wheel.py

lowest: .venv/ready  ## the same with the oldest dependencies that are allowed: downloads 3 GB
	.venv/bin/python tools/check_wheel.py --lowest

clean:  ## remove what make made
	rm -rf .venv
