#!/usr/bin/env bash
# Starts the broker with the users of definitions.json, whose passwords come from the environment: each @NAME@ becomes
# the salted SHA-256 hash of the variable NAME (https://www.rabbitmq.com/docs/passwords#computing-password-hash).
# A password that is changed outside is thereby the new one after the next start.
set -euo pipefail

template=$(dirname "$0")/definitions.json
target=/run/rabbitmq/definitions.json

# bytes HEX: the bytes themselves
bytes() { printf %b "$(sed 's/../\\x&/g' <<<"$1")"; }

# hash PASSWORD: base64(salt + sha256(salt + password))
hash() {
  local salt digest
  salt=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
  digest=$({ bytes "$salt"; printf %s "$1"; } | sha256sum | cut -d' ' -f1)
  bytes "$salt$digest" | base64 -w0
}

definitions=$(<"$template")
for name in $(grep -o '@[A-Z_]*@' "$template" | tr -d @); do
  password=${!name:?is needed by $template}
  definitions=${definitions//@$name@/$(hash "$password")}
  # the broker itself has no use for it
  unset "$name"
done
(umask 077 && printf '%s\n' "$definitions" >"$target")

# The order to stop goes to the node itself, whatever the scripts between it and us do with signals.
export RABBITMQ_PID_FILE=/run/rabbitmq/pid
trap 'kill -TERM "$(<"$RABBITMQ_PID_FILE")"' TERM
docker-entrypoint.sh rabbitmq-server &
# The first wait ends with the signal, the second with the node.
wait "$!" || wait "$!"
