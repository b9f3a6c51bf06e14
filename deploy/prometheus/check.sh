#!/usr/bin/env bash
# Checks Prometheus' configuration, the alert rules and the queries of the dashboard, and that each alert fires when it
# should. Uses the promtool on the PATH, or else the one of Debian's package, which is unpacked beside and not installed.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

promtool=promtool
if ! command -v promtool >/dev/null; then
  # apt's own user must be able to write there
  chmod 777 "$dir"
  (cd "$dir" && apt-get download --quiet=2 prometheus 2>/dev/null || (apt-get update --quiet=2 && apt-get download --quiet=2 prometheus)) ||
    { echo "there is no promtool, and Debian's package prometheus cannot be downloaded: install one of them" >&2 && exit 1; }
  dpkg-deb --extract "$dir"/prometheus_*.deb "$dir"
  promtool=$dir/usr/bin/promtool
fi
# the rules as well, which it names
"$promtool" check config prometheus.yml
"$promtool" test rules alerts_test.yml

# Promtool reads no dashboards: each query becomes a rule of its own. Variables of Grafana would need a value.
{
  printf 'groups:\n  - name: dashboard\n    rules:\n'
  grep -ho '"expr": ".*"' ../grafana/dashboards/*.json | nl -w1 -s' ' |
    sed -E 's/^([0-9]+) "expr": (".*")$/      - {record: "dashboard:query:\1", expr: \2}/'
} >"$dir/dashboard.yml"
"$promtool" check rules "$dir/dashboard.yml"
