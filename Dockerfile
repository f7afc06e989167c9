# The controller, and nothing else: no shell, no git, and the authorities that TLS needs.
# `docker build .` compiles the program. `make image` takes those of `make dist` (BINARY=dist), for amd64 and arm64.
ARG BINARY=source

FROM docker.io/library/rust:1.95.0-bookworm AS source
RUN apt-get update \
    && apt-get install --yes --no-install-recommends clang \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN .ci/static "$(uname -m)-unknown-linux-musl" /rollwave

FROM scratch AS dist
ARG TARGETARCH
COPY target/image/${TARGETARCH}/rollwave /rollwave

FROM ${BINARY} AS binary

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rollwave" \
      org.opencontainers.image.description="Declarative GitOps reconciler for IoT over-the-air updates" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=binary /rollwave /usr/local/bin/rollwave
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rollwave"]
CMD ["controller"]
