#!/bin/sh
# BlueOS makes the extension's data folder as root. Hand it to the user that records, then become that user:
# the program itself never runs as root.
set -eu
install -d -o kymograph -g kymograph -m 0755 /data "${CHUNK_RECORDING_PATH:-/data/qsensor_recordings}"
exec setpriv --reuid=kymograph --regid=kymograph --init-groups --inh-caps=-all --no-new-privs kymograph "$@"
