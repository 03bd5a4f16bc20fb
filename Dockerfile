# syntax=docker/dockerfile:1
# BASE is any image with Python 3.11 or later as python3, and the same for both stages: the environment of the first is
# copied into the second.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/trimtab
COPY requirements/runtime.txt /tmp/runtime.txt
RUN /opt/trimtab/bin/python3 -m pip install --no-deps --only-binary :all: --require-hashes -r /tmp/runtime.txt
# The package needs no build: it is copied beside its dependencies, with the launcher that a wheel would make.
COPY operator/trimtab /tmp/trimtab
RUN packages="$(/opt/trimtab/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && mv /tmp/trimtab "${packages}/trimtab" \
 && chmod -R a+rX "${packages}/trimtab" \
 && printf '%s\n' '#!/opt/trimtab/bin/python3' 'import sys' 'from trimtab.cli import main' 'sys.exit(main())' \
      > /opt/trimtab/bin/trimtab \
 && chmod 0755 /opt/trimtab/bin/trimtab \
 && /opt/trimtab/bin/python3 -m pip uninstall --yes pip setuptools \
 && /opt/trimtab/bin/python3 -m compileall -q "${packages}/trimtab"

FROM ${BASE}
LABEL org.opencontainers.image.title="Trimtab" \
      org.opencontainers.image.description="A Kubernetes operator that tunes workloads, proves each change, and undoes it when it did not help." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/trimtab /opt/trimtab
# HOME, because the Kubernetes client asks for it and this user is in no passwd; /tmp, because the chart makes the root
# filesystem read-only but for it.
ENV PATH=/opt/trimtab/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /tmp
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/opt/trimtab/bin/trimtab"]
CMD ["--help"]
