# The agent's image, for every node, from the wheel that `./dev build` made; docs/deploy.md tells how it is built and run.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
# Of all that is pinned, what runs podroutes without `push`. pip finds out if one is missing.
ARG RUNS="msgspec pyyaml urllib3"
COPY requirements.txt dist/podroutes-*-py3-none-any.whl ./
RUN awk -v names=" $RUNS " '/^[a-z]/ { split($1, pin, "=="); wanted = index(names, " " pin[1] " ") } wanted' requirements.txt >runs.txt \
    && python -m venv --without-pip /opt/podroutes \
    && pip --python /opt/podroutes/bin/python install --no-cache-dir --require-hashes -r runs.txt \
    && pip --python /opt/podroutes/bin/python install --no-cache-dir --no-index ./*.whl

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title=podroutes org.opencontainers.image.licenses=Apache-2.0
# nft(8) for `agent --masquerade`, and for `remove`, which looks for the table.
RUN apt-get update && apt-get install -y --no-install-recommends nftables && apt-get distclean
COPY --from=build /opt/podroutes /opt/podroutes
ENV PATH=/opt/podroutes/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Nobody in particular: enough for all that only looks. What writes routes is run as root with NET_ADMIN alone.
USER 65532:65532
ENTRYPOINT ["podroutes"]
CMD ["agent", "--kubernetes"]
