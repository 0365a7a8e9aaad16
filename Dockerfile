# syntax=docker/dockerfile:1

# The image trades with exactly the locked packages: every file is checked against its hash.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Packages first: this layer changes only when a lock file does.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/polystra \
 && /opt/polystra/bin/python -m pip install --require-hashes -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes -r requirements-build.lock

COPY pyproject.toml README.md LICENSE CHANGELOG.md alembic.ini ./
COPY alembic alembic
COPY src src
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
 && /opt/polystra/bin/python -m pip install --no-deps --no-index /dist/*.whl \
 && /opt/polystra/bin/python -m pip uninstall --yes pip

FROM python:3.12-slim
# A fixed number, so that volumes keep their owner from one image to the next.
RUN groupadd --gid 1000 polystra \
 && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /data --shell /usr/sbin/nologin polystra \
 && install -d -o 1000 -g 1000 -m 0700 /data
COPY --from=build /opt/polystra /opt/polystra
ENV PATH=/opt/polystra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TZ=UTC \
    DATA_DIR=/data \
    API_HOST=0.0.0.0
WORKDIR /app
VOLUME /data
USER 1000:1000
STOPSIGNAL SIGTERM
ENTRYPOINT ["polystra"]
CMD ["run"]
