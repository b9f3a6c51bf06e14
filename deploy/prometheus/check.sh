#!/usr/bin/env bash
# Checks the alert rules, and that each fires when it should. Uses the promtool on the PATH, or else the one of Debian's
# package, which is unpacked beside and not installed.
set -euo pipefail
cd "$(dirname "$0")"

promtool=promtool
if ! command -v promtool >/dev/null; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  # apt's own user must be able to write there
  chmod 777 "$dir"
  (cd "$dir" && apt-get download --quiet=2 prometheus 2>/dev/null || (apt-get update --quiet=2 && apt-get download --quiet=2 prometheus)) ||
    { echo "there is no promtool, and Debian's package prometheus cannot be downloaded: install one of them" >&2 && exit 1; }
  dpkg-deb --extract "$dir"/prometheus_*.deb "$dir"
  promtool=$dir/usr/bin/promtool
fi
"$promtool" check rules alerts.yml
"$promtool" test rules alerts_test.yml
