# syntax=docker/dockerfile:1

# The wheel and a virtual environment with everything pinned.
FROM python:3.12-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TIKTOKEN_CACHE_DIR=/opt/tiktoken
RUN python -m venv /opt/ask-marvin && mkdir /opt/tiktoken
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY knowledge ./knowledge
COPY tools ./tools
COPY bot ./bot
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/ask-marvin/bin/pip wheel --no-deps --wheel-dir /dist . \
    && /opt/ask-marvin/bin/pip install --constraint constraints.txt /dist/ask_marvin-*.whl
# Where the build has no network, tokens are estimated at run time instead of counted.
RUN /opt/ask-marvin/bin/python -c "import tiktoken; tiktoken.get_encoding('cl100k_base')" \
    || echo "NOTE: the tokenizer's vocabulary could not be fetched; the bot will estimate token counts."

FROM python:3.12-slim
# A reindexed library is opened beside the old one: with more malloc arenas each swap would cost 20 MB.
ENV PATH=/opt/ask-marvin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    TIKTOKEN_CACHE_DIR=/opt/tiktoken \
    ASK_MARVIN_HOME=/data \
    ASK_MARVIN_HOST=0.0.0.0 \
    ASK_MARVIN_PORT=3000
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data ask-marvin \
    && install --directory --owner=ask-marvin --group=ask-marvin /data
COPY --from=build /opt/tiktoken /opt/tiktoken
COPY --from=build /opt/ask-marvin /opt/ask-marvin
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 3000
# No proxy is asked for what is in this container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:3000/healthz', timeout=4)"]
CMD ["ask-marvin", "serve"]
