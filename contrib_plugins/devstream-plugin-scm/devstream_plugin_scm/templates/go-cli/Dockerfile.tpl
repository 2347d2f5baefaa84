FROM golang:1.24-bookworm AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/[[ AppName ]] ./cmd/[[ AppName ]]

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/[[ AppName ]] /[[ AppName ]]
USER nonroot
ENTRYPOINT ["/[[ AppName ]]"]
