__pycache__/
*.pyc
.venv/
.pytest_cache/
