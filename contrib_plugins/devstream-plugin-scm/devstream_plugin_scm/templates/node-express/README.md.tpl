# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A web service with Express.

```
npm install        # commit package-lock.json: builds are the same from then on
npm start          # http://localhost:[[ port | default(8080) ]]/ and /healthz
npm test           # the tests
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
