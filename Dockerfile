# Name the base by its digest where the image is to be the same again:
#   docker build --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:… .
# Any base will do that has Python 3.11 or newer with venv, and the certificates of the world.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006 -- the base is an argument
FROM ${BASE_IMAGE} AS build
# More words for pip, such as where wheels are when no index is at hand.
ARG PIP_OPTIONS=""
WORKDIR /src
COPY . .
# Two environments: the first has pip, what is shipped has none. Bytecode is made now, for nobody can write it later, and
# is believed whatever the time of its source: copying rounds times, and compiling the SDKs anew takes 250 MB. It does not
# say which part of a line a traceback means, which would be a tenth of all the memory that code takes.
# hadolint ignore=SC2086 -- several words are meant
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/reconciler \
    && /build/bin/pip --python /opt/reconciler/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
        --constraint constraints.txt ${PIP_OPTIONS} . \
    && PYTHONNODEBUGRANGES=1 /opt/reconciler/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/reconciler/lib

# hadolint ignore=DL3006 -- the same base
FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="reconciler" \
      org.opencontainers.image.description="Keeps a fleet of Azure OpenAI accounts exactly as its YAML says." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/reconciler /opt/reconciler
# What a pass needed goes back to the system: one heap for all threads, and large pieces apart from it.
ENV MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=65536 \
    PATH=/opt/reconciler/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
# By number: then Kubernetes can tell that it is not root. It needs no name and no home.
USER 10001:10001
# It is process 1 itself, hears SIGTERM and SIGHUP, and starts nobody whom it would have to bury.
ENTRYPOINT ["/opt/reconciler/bin/reconciler"]
CMD ["run"]
