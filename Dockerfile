# One image for every service of the hub: worker, share, connectors, migrations.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/hub hub

WORKDIR /opt/hub
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY connectors ./connectors
COPY hub ./hub
RUN pip install --no-deps --no-build-isolation .

USER hub
WORKDIR /var/lib/hub
CMD ["hub", "--help"]
