.git
.venv
tests
