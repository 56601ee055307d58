# The five command lines in a container, for GPU nodes:
#
#   docker build -t community-forensics .
#   docker run --gpus all -v $PWD/workspace:/workspace -e HF_TOKEN community-forensics cf-sample --shard 3/16
#
# Any base with Python 3.11 or newer from its package manager will do; torch brings its own CUDA libraries.
# No engine for `docker build` runs on the development machines. So the RUN lines are nothing but what is tested elsewhere:
# `make install` is how the tests make their environment.
#
# `docker build --target lavis` makes another image, in which `cf-caption --backend lavis` works too.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04

# LAVIS needs a Python as old as this one, which is new enough for the rest.
FROM python:3.11-slim-bookworm AS lavis

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libmagic1 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/community-forensics
COPY . .
RUN make install EXTRAS=demo && make lavis-env

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
RUN make install EXTRAS=demo

ENV PATH=/opt/community-forensics/.venv/bin:$PATH \
    CF_WORKSPACE=/workspace
WORKDIR /workspace
CMD ["cf-sample", "--help"]
