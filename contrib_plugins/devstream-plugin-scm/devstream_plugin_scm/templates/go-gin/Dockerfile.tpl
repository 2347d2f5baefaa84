FROM golang:1.26-trixie AS build
WORKDIR /src
COPY . .
RUN go mod tidy && CGO_ENABLED=0 go build -trimpath -o /out/[[ AppName ]] .

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /out/[[ AppName ]] /[[ AppName ]]
USER 65532:65532
EXPOSE [[ port | default(8080) ]]
ENTRYPOINT ["/[[ AppName ]]"]
