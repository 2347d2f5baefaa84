# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A web service with Gin.

```
go mod tidy                         # commit go.sum: builds are the same from then on
go run .                            # http://localhost:[[ port | default(8080) ]]/ and /healthz
go test ./...
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
