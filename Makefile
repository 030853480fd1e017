.PHONY: demo test lint lint-pages modules-of-pages docs wheel lowest clean

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev,docs]' && touch .venv/ready

demo: .venv/ready  ## train, evaluate and predict on scenes drawn on the spot
	.venv/bin/setpiece demo

test: .venv/ready modules-of-pages  ## the whole suite: its files in three processes of one thread each
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/ready lint-pages docs  ## ruff, mypy, the documentation, and eslint and tsc where there is node
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

lint-pages: modules-of-pages  ## eslint and tsc, where there is node
	@if command -v npm > /dev/null; then npm run --silent lint; \
	else echo "There is no node here: the JavaScript of the pages is not checked."; fi

modules-of-pages:
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory node_modules/ready; fi

node_modules/ready: package.json package-lock.json
	npm ci --silent && touch node_modules/ready

wheel: .venv/ready  ## build the wheel, install it away from the checkout and use it
	.venv/bin/python tools/check_wheel.py

lowest: .venv/ready  ## the same with the oldest dependencies that are allowed: downloads 3 GB
	.venv/bin/python tools/check_wheel.py --lowest

docs: .venv/ready  ## the documentation, as a site in build/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet && echo "The documentation is build/docs/index.html."

clean:  ## remove what make made
	rm -rf .venv node_modules build
