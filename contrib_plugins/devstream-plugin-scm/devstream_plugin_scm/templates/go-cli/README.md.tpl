# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A command-line program in Go, on the standard library.

```
go run ./cmd/[[ AppName ]] -name you
go test ./...
go build -o dist/[[ AppName ]] ./cmd/[[ AppName ]]
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
