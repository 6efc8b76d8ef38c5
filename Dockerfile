# syntax=docker/dockerfile:1
#
#   docker build -t qasphere-siem-forwarder .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v forwarder-state:/var/lib/qasphere-siem-forwarder \
#     -e QASPHERE_URL=https://acme.eu1.qasphere.com -e QASPHERE_API_KEY qasphere-siem-forwarder
#
# Mount a configuration file at /etc/qasphere-siem-forwarder/config.yaml, where the health check finds it too. Secrets come
# from files (apiKeyFile: /run/secrets/qasphere_api_key). With onKeyRejected: wait the program stays up when the key is
# rejected, and the container becomes unhealthy; otherwise the runtime restarts it whatever its exit code. With another
# --user, the volume must belong to that user.

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY packaging/build.ts packaging/bundle.ts packaging/
COPY src src
RUN npm run --silent build && find dist -name '*.map' -delete

FROM node:26-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && install -d -m 0700 -o 65532 -g 65532 /state

FROM gcr.io/distroless/nodejs26-debian13:nonroot
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="qasphere-siem-forwarder" \
      org.opencontainers.image.description="Forwards the QA Sphere audit log to Splunk, syslog and stdout, without losing a record" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="QA Sphere" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/nodejs26-debian13:nonroot"
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY --from=dependencies --chown=65532:65532 /state /var/lib/qasphere-siem-forwarder
# One arena: malloc would keep freed memory in one for each thread.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    STATE_DIRECTORY=/var/lib/qasphere-siem-forwarder
VOLUME /var/lib/qasphere-siem-forwarder
USER 65532:65532
# The options are those of packaging/bundle.ts, which says why.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "--heap-growing-percent=100", "--invocation-count-for-maglev=2000", "--disable-warning=ExperimentalWarning", "--disable-sigusr1", "/app/dist/main.js"]
CMD ["run"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 \
  CMD ["/nodejs/bin/node", "--disable-warning=ExperimentalWarning", "/app/dist/main.js", "status", "--ready"]
