# All commands in a container, for GPU nodes:
#
#   docker build -t community-forensics .
#   docker run --gpus all --user $(id -u):$(id -g) -v $PWD/workspace:/workspace -e HF_TOKEN community-forensics cf-sample --shard 3/16
#
# It runs as an ordinary user; with --user, as the one that owns the workspace. Any base image with Python 3.11 or newer in
# its package manager works; torch brings its own CUDA libraries. The tests do not build this image, so its RUN lines are
# only what is tested elsewhere: `make install` is how the tests get their environment, every file checked by its hash.
#
# Base images are named by their content. For a newer one:
#   docker buildx imagetools inspect nvidia/cuda:13.0.1-base-ubuntu24.04     # the line "Digest:"
#
# `docker build --target lavis` makes another image, in which `cf-caption --backend lavis` works too.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04@sha256:f8ef28f579ea42a44b415d2c5d46f788e6a9b395c6c83f2929416e1fc192c143

# LAVIS needs exactly Python 3.11.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS lavis

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libmagic1 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/community-forensics
COPY . .
RUN make install EXTRAS=all && make lavis-env

# A home for whatever user the container is started as.
RUN useradd --no-create-home --home-dir /home/forensics --uid 10001 forensics \
    && install --directory --mode 1777 /home/forensics /workspace
ENV HOME=/home/forensics \
    PATH=/opt/community-forensics/.venv/bin:$PATH \
    CF_WORKSPACE=/workspace \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /workspace
CMD ["cf-caption", "--help"]

FROM ${BASE}

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/community-forensics
COPY . .
RUN make install EXTRAS=all,ray

# A home for whatever user the container is started as.
RUN useradd --no-create-home --home-dir /home/forensics --uid 10001 forensics \
    && install --directory --mode 1777 /home/forensics /workspace
ENV HOME=/home/forensics \
    PATH=/opt/community-forensics/.venv/bin:$PATH \
    CF_WORKSPACE=/workspace
USER 10001
WORKDIR /workspace
CMD ["cf-sample", "--help"]
