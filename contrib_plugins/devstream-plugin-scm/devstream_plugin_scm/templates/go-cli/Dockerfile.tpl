FROM golang:1.26-trixie AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/[[ AppName ]] ./cmd/[[ AppName ]]

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /out/[[ AppName ]] /[[ AppName ]]
USER 65532:65532
ENTRYPOINT ["/[[ AppName ]]"]
