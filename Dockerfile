# All commands in a container, for GPU nodes:
#
#   docker build -t community-forensics .
#   docker run --gpus all -v $PWD/workspace:/workspace -e HF_TOKEN community-forensics cf-sample --shard 3/16
#
# Any base image with Python 3.11 or newer in its package manager works; torch brings its own CUDA libraries. The tests do not
# build this image, so its RUN lines are only what is tested elsewhere: `make install` is how the tests get their environment.
#
# `docker build --target lavis` makes another image, in which `cf-caption --backend lavis` works too.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04

# LAVIS needs exactly Python 3.11.
FROM python:3.11-slim-bookworm AS lavis

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libmagic1 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/community-forensics
COPY . .
RUN make install EXTRAS=all && make lavis-env

ENV PATH=/opt/community-forensics/.venv/bin:$PATH \
    CF_WORKSPACE=/workspace \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /workspace
CMD ["cf-caption", "--help"]

FROM ${BASE}

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/community-forensics
COPY . .
RUN make install EXTRAS=all

ENV PATH=/opt/community-forensics/.venv/bin:$PATH \
    CF_WORKSPACE=/workspace
WORKDIR /workspace
CMD ["cf-sample", "--help"]
