#!/bin/sh
# Gets what the tests use of Debian and this machine lacks: a JVM and Maven, the shells of
# PostgreSQL and SQLite, Chromium, SpamAssassin, Postfix, and Prometheus.
# Prometheus' package would enable a service that nobody asked for, so only its files are unpacked.
# Postfix is installed without a configuration, and without one its service does not start; where
# another mail server is, Postfix would replace it, and is left out.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v apt-get >/dev/null; then
    echo "No apt-get here: see 'make doctor' for what the tests look for."
    exit 0
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

packages=""
python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
command -v java >/dev/null || packages="$packages default-jre-headless"
command -v mvn >/dev/null || packages="$packages maven"
command -v psql >/dev/null || packages="$packages postgresql-client"
command -v sqlite3 >/dev/null || packages="$packages sqlite3"
command -v chromium >/dev/null || packages="$packages chromium fonts-liberation"
command -v spamassassin >/dev/null || packages="$packages spamassassin"
command -v setpriv >/dev/null || packages="$packages util-linux"
[ -x /usr/sbin/postfix ] || [ -x /usr/sbin/sendmail ] || packages="$packages postfix"
prometheus=.cache/prometheus
if command -v prometheus >/dev/null || [ -x "$prometheus/usr/bin/prometheus" ]; then prometheus=""; fi

if [ -z "$packages$prometheus" ]; then
    echo "Everything is here."
    exit 0
fi
as_root apt-get -qq update
if [ -n "$packages" ]; then
    echo "postfix postfix/main_mailer_type select No configuration" | as_root debconf-set-selections
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $packages
fi
if [ -n "$prometheus" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download prometheus)
    mkdir -p "$prometheus"
    dpkg-deb --extract "$folder"/prometheus_*.deb "$prometheus"
    "$prometheus/usr/bin/prometheus" --version 2>&1 | head -n 1
fi
