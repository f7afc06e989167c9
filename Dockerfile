# The controller, and nothing else: no shell, no git, and the authorities that TLS needs.
FROM docker.io/library/rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin rollwave

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/rollwave /usr/local/bin/rollwave
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rollwave"]
CMD ["controller"]
