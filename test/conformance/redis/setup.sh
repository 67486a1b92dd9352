#!/bin/sh
# Installs a Redis server from the packages of the system (Debian, Ubuntu) where there is none.
set -eu
command -v redis-server >/dev/null && exit 0
apt-get install -y redis-server
