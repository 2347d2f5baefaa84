# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A small HTTP service on Python's standard library.

```
python3 service.py                  # http://localhost:[[ port | default(8080) ]]/ and /healthz
python3 -m unittest discover        # the tests; each push runs them
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
