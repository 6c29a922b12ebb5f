# The agent's image, for every node; docs/deploy.md tells how it is built and run.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
# Of all that is pinned for development, what runs podroutes, and hatchling with its own, which packs it. pip finds out if one is missing.
ARG RUNS="msgspec pyyaml urllib3"
ARG PACKS="hatchling packaging pathspec pluggy tomlkit trove-classifiers"
COPY requirements-dev.txt ./
RUN pick() { awk -v names=" $1 " '/^[a-z]/ { split($1, pin, "=="); wanted = index(names, " " pin[1] " ") } wanted' requirements-dev.txt; } \
    && pick "$RUNS" >runs.txt \
    && pick "$PACKS" >packs.txt \
    && python -m venv --without-pip /opt/podroutes \
    && pip --python /opt/podroutes/bin/python install --no-cache-dir --require-hashes -r runs.txt \
    && pip install --no-cache-dir --require-hashes -r packs.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && pip --python /opt/podroutes/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title=podroutes org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /opt/podroutes /opt/podroutes
ENV PATH=/opt/podroutes/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Nobody in particular: enough for all that only looks. What writes routes is run as root with NET_ADMIN alone.
USER 65532:65532
ENTRYPOINT ["podroutes"]
CMD ["agent", "--kubernetes"]
