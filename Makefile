.DEFAULT_GOAL := help
PY := .venv/bin/python
# Checks that only look at code need settings, not servers.
CODE := env DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 \
	PORTAL_SECRET_KEY=only-for-checks-of-code-never-for-a-server-0123456789abcdefghij \
	PORTAL_PRIVACY_KEYS=blind:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,1:QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ \
	DJANGO_SETTINGS_MODULE=portal.settings

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

check: lint types imports deploy-check migrations-check test ## everything a landing needs

test: ## the whole suite
	python3 manage.py test

lint: ## format and lint
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: ## mypy, strict
	$(CODE) .venv/bin/mypy

imports: ## who may import whom
	.venv/bin/lint-imports

deploy-check: ## Django's own checks for production
	$(CODE) PORTAL_URL=https://portal.example PORTAL_ALLOWED_HOSTS=portal.example \
		$(PY) -m django check --deploy --fail-level WARNING

migrations-check: ## models and migrations agree
	$(CODE) $(PY) -W ignore -m django makemigrations --check --dry-run

sizes: ## the ten largest modules
	@git ls-files '*.py' | xargs wc -l | sort -rn | sed -n 2,11p

.PHONY: help check test lint types imports deploy-check migrations-check sizes
