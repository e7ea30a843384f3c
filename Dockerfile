# wattproof as an image: MCP over stdin and stdout by default, over HTTP with `serve --http --host 0.0.0.0`.
#
# The base is named by tag. For a release, pin what you tested: docker buildx imagetools inspect python:3.13-slim-trixie
# prints the digest; pass it on as --build-arg PYTHON=3.13-slim-trixie@sha256:...
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/wattproof
COPY requirements/image.txt requirements/build.txt requirements/
RUN /opt/wattproof/bin/python -m pip install --quiet --require-hashes -r requirements/image.txt \
 && python -m pip install --quiet --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY wattproof wattproof
RUN python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/wattproof/bin/python -m pip install --quiet --no-deps dist/wattproof-*.whl \
 && /opt/wattproof/bin/python -m compileall -q -j 0 /opt/wattproof/lib
COPY packaging/docker/entrypoint.sh packaging/docker/healthcheck.py /opt/wattproof/

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="wattproof" \
      org.opencontainers.image.description="MCP server for the energy and carbon footprint of LLM requests" \
      org.opencontainers.image.source="https://github.com/wattproof/wattproof" \
      org.opencontainers.image.licenses="Apache-2.0" \
      io.modelcontextprotocol.server.name="io.github.wattproof/wattproof"
RUN groupadd --gid 10001 wattproof \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin wattproof \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/wattproof /opt/wattproof
ENV PATH=/opt/wattproof/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 WATTPROOF_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8321
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "/opt/wattproof/healthcheck.py"]
ENTRYPOINT ["/bin/sh", "/opt/wattproof/entrypoint.sh"]
