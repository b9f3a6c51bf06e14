#!/usr/bin/env bash
# Whether clients can connect: the management plug-in's own check of the AMQP listener, asked over bash's /dev/tcp.
# `rabbitmq-diagnostics` would start an Erlang machine for every check, about a second of a processor each time.
set -euo pipefail

login=$(printf 'admin:%s' "$AMQP_ADMIN_PASSWORD" | base64 -w0)
exec 3<>/dev/tcp/127.0.0.1/15672
printf 'GET /api/health/checks/port-listener/5672 HTTP/1.0\r\nAuthorization: Basic %s\r\n\r\n' "$login" >&3
grep -q '"status":"ok"' <&3
