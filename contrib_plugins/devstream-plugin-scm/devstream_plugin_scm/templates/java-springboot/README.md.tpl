# [[ AppName ]]
[% if Repo.Owner %]

Owned by [[ Repo.Owner ]].
[% endif %]

A web service with Spring Boot.

```
mvn spring-boot:run      # http://localhost:[[ port | default(8080) ]]/ and /healthz
mvn verify               # the tests
docker build -t [[ AppName | lower ]] .
```
[% if contact is defined %]

Questions: [[ contact ]]
[% endif %]
