# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A web service with Flask.

```
python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
.venv/bin/flask run --port [[ port | default(8080) ]]       # http://localhost:[[ port | default(8080) ]]/ and /healthz
.venv/bin/python -m unittest discover     # the tests
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
