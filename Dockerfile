# One file for all four images: `docker build --target order .` (or inventory, email, warren).
#
# All binaries are built in one step, so they share one build of the dependencies. Two cache mounts outlive that step: what
# was downloaded, and Cargo's target folder beside the sources that it belongs to. A change to one service thereby compiles
# that service alone; the folder is the builder's own and never part of an image.

FROM rust:1.95-slim-trixie AS build
COPY . /context
WORKDIR /build
# Cargo tells by modification times what has changed, and those say nothing across checkouts. So the sources beside the
# target folder are brought up to date by content: only a file that differs is written, and is then new. For files that
# rustc does not see (migrations, query data) all crates count as changed.
RUN --mount=type=cache,id=warren-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=warren-build,target=/build,sharing=locked \
    set -eu; \
    (cd /context && find . -type f) | while IFS= read -r file; do \
        cmp -s "/context/$file" "$file" || { install -D -m 644 "/context/$file" "$file"; echo "$file"; }; \
    done >/tmp/changed; \
    find . -path ./target -prune -o -type f -print | while IFS= read -r file; do \
        [ -e "/context/$file" ] || { rm "$file"; echo "$file"; }; \
    done >>/tmp/changed; \
    if grep -v '\.rs$' /tmp/changed | grep -qE '^\./(crates|services|migrations)/'; then \
        find crates services -name '*.rs' -exec touch {} +; \
    fi; \
    cargo build --release --locked --bins -p order -p inventory -p email -p warren; \
    cd target/release && install -D -t /out order inventory email warren

# The distribution as it is, and the certificate authorities, which amqps, smtps and databases with TLS ask for.
FROM debian:trixie-slim AS runtime
COPY --from=rust:1.95-slim-trixie /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# One heap for all threads: a fifth less memory, and no slower on a few cores (docs/performance.md). Raise it on many.
ENV MALLOC_ARENA_MAX=1
USER 10001:10001

FROM runtime AS order
COPY --from=build /out/order /usr/local/bin/
ENV HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["order", "healthcheck"]
ENTRYPOINT ["order"]

FROM runtime AS inventory
COPY --from=build /out/inventory /usr/local/bin/
ENV HTTP_ADDR=0.0.0.0:8081
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["inventory", "healthcheck"]
ENTRYPOINT ["inventory"]

FROM runtime AS email
COPY --from=build /out/email /usr/local/bin/
ENV HTTP_ADDR=0.0.0.0:8082
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["email", "healthcheck"]
ENTRYPOINT ["email"]

FROM runtime AS warren
COPY --from=build /out/warren /usr/local/bin/
ENTRYPOINT ["warren"]
