# Kymograph in a container, for amd64 and arm64 (any 64-bit Raspberry Pi OS).
#
#   docker compose up -d          see compose.yaml, which hands it the serial device
#   docker buildx build --platform linux/amd64,linux/arm64 -t kymograph .
#   docker buildx build --platform linux/arm64 --target blueos -t kymograph-blueos .     see deploy/blueos
#
# `build` has what builds, `station` only what runs; `blueos` is that as an extension of BlueOS.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /src

# The packages first: they change rarely, and this layer is kept as long as the lock file stays.
COPY tools/pins/ tools/pins/
RUN pip install --require-hashes -r tools/pins/uv.lock
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/kymograph && \
    VIRTUAL_ENV=/opt/kymograph uv pip sync --require-hashes --only-binary :all: requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
RUN VIRTUAL_ENV=/opt/kymograph uv pip install --no-deps --build-constraints tools/pins/build.lock .

FROM python:3.11-slim-bookworm AS station
# Not root: a user of its own, in dialout (gid 20 on Debian) for the serial ports.
RUN useradd --system --uid 10001 --user-group --groups dialout --home-dir /data --shell /usr/sbin/nologin \
        kymograph && \
    install -d -o kymograph -g kymograph -m 0750 /data /etc/kymograph
COPY --from=build /opt/kymograph /opt/kymograph
COPY stations/lidar.toml /etc/kymograph/station.toml
ENV PATH=/opt/kymograph/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 KYMOGRAPH_DATA=/data
USER kymograph
WORKDIR /data
VOLUME /data
EXPOSE 8000

# Recordings are sealed on SIGTERM, which takes 10 s at most: `docker stop -t 20` waits long enough.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["kymograph"]
CMD ["serve", "/etc/kymograph/station.toml", "--host", "0.0.0.0", "--data", "/data"]

# BlueOS reads the labels. `permissions` is deploy/blueos/permissions.json, word for word.
FROM station AS blueos
USER root
COPY deploy/blueos/entrypoint.sh /usr/local/bin/kymograph-blueos
COPY deploy/blueos/station.toml /etc/kymograph/station.toml
ENV API_PORT=9150
EXPOSE 9150/tcp
LABEL version="0.1.0"
LABEL permissions='{\
  "ExposedPorts": {\
    "9150/tcp": {}\
  },\
  "HostConfig": {\
    "Binds": [\
      "/usr/blueos/extensions/kymograph-radiometer:/data",\
      "/dev:/dev"\
    ],\
    "DeviceCgroupRules": [\
      "c 188:* rw",\
      "c 166:* rw",\
      "c 204:* rw"\
    ],\
    "PortBindings": {\
      "9150/tcp": [\
        {\
          "HostPort": ""\
        }\
      ]\
    }\
  }\
}'
LABEL authors='[{"name": "The Kymograph authors"}]'
LABEL company='{"name": "Kymograph", "about": "The drum recorder for instruments"}'
LABEL type="device-integration"
LABEL tags='["data-collection", "sensor", "radiometer"]'
LABEL requirements="core >= 1.1"
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; \
r.urlopen('http://127.0.0.1:' + os.environ['API_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["kymograph-blueos"]
CMD ["serve", "/etc/kymograph/station.toml"]

# What `docker build` makes when no target is named.
FROM station
