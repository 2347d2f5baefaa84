FROM golang:1.24-bookworm AS build
WORKDIR /src
COPY . .
RUN go mod tidy && CGO_ENABLED=0 go build -trimpath -o /out/[[ AppName ]] .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/[[ AppName ]] /[[ AppName ]]
USER nonroot
EXPOSE [[ port | default(8080) ]]
ENTRYPOINT ["/[[ AppName ]]"]
