#!/usr/bin/env bash
# The system in containers, as its reader starts it: built, started, an order placed, and what docs/deployment.md says
# about users, file systems and rights put to the test. Needs Docker with Compose, and curl.
#
#   tests/compose-smoke.sh            from a checkout; removes its containers and volumes again
#   KEEP=1 tests/compose-smoke.sh     leaves them running
#
# It runs beside other projects: a project name of its own, and whatever ports are free.
set -euo pipefail
cd "$(dirname "$0")/.."

DEADLINE_SECONDS=60

compose() { docker compose "$@"; }
say() { printf '%s\n' "$*"; }
ok() { say "ok    $*"; }
fail() {
  say "FAIL  $*" >&2
  exit 1
}

# refused TEXT COMMAND…: the command must fail, and say TEXT
refused() {
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then fail "was allowed: $*"; fi
  grep -q "$text" <<<"$output" || fail "failed, but not with \"$text\": $*: $output"
}

# eventually COMMAND…: repeated until it succeeds or the deadline is over
eventually() {
  local end=$((SECONDS + DEADLINE_SECONDS))
  until "$@"; do
    ((SECONDS < end)) || fail "not within $DEADLINE_SECONDS s: $*"
    sleep 0.5
  done
}

# field NAME: the first text of that name in the JSON on standard input
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }

# call METHOD URL [BODY]
call() {
  curl -sS --max-time 10 -X "$1" -H "Authorization: Bearer $token" \
    ${3:+-H 'Content-Type: application/json' --data "$3"} "$2"
}

# address SERVICE PORT [COPY]: where a container's port is reached from here
address() { compose port --index "${3:-1}" "$1" "$2"; }

# free_range N: the first of N neighbouring ports on which nobody listens
free_range() {
  local first port
  while first=$((20000 + RANDOM % 20000)); do
    for ((port = first; port < first + $1; port++)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
    done
    echo "$first" && return
  done
}

finish() {
  local status=$?
  if ((status != 0)); then
    compose ps --all >&2 || true
    compose logs --no-color --tail 40 >&2 || true
  fi
  if [[ -n ${KEEP:-} ]]; then
    say "left running: docker compose -p $COMPOSE_PROJECT_NAME down -v"
  else
    compose --profile tools down --volumes --remove-orphans >/dev/null 2>&1 || true
  fi
  exit "$status"
}

start() {
  export COMPOSE_PROJECT_NAME=warren-smoke-$$
  # 0: the engine chooses
  export ORDER_PORT=0 CONSOLE_PORT=0 MAILPIT_PORT=0 RABBITMQ_PORT=0 RABBITMQ_MANAGEMENT_PORT=0 POSTGRES_PORT=0
  local first
  first=$(free_range 5)
  export INVENTORY_PORT=$first-$((first + 2)) EMAIL_PORT=$((first + 3))-$((first + 4))
  trap finish EXIT
  compose up --build --detach --wait
  ok "started: all containers are healthy"
  say "      images: $(docker image ls --format '{{.Repository}} {{.Size}}' 'warren-*' | sort | paste -sd, | sed 's/,/, /g')"
}

find_addresses() {
  order=http://$(address order 8080)
  inventory=http://$(address inventory 8081)
  email=http://$(address email 8082)
  mailpit=http://$(address mailpit 8025)
  console=http://$(address console 8090)
}

is_ready() { curl -fsS --max-time 5 "$1/readyz" >/dev/null 2>&1; }

check_readiness() {
  local service
  for service in "$order" "$inventory" "$email"; do eventually is_ready "$service"; done
  curl -fsS "$mailpit/readyz" >/dev/null
  ok "ready: broker, database, migrations, consumer and relay of all three services"
}

# Orders can be placed once the products' events have reached the order service.
place_order() {
  local body answer
  body="{\"customer_id\": \"$customer\", \"lines\": [{\"sku\": \"carrot\", \"quantity\": 2},
        {\"sku\": \"hay\", \"quantity\": 1}], \"payment_method\": \"sandbox:ok\"}"
  answer=$(call POST "$order/v1/orders" "$body")
  order_id=$(field id <<<"$answer")
  [[ -n $order_id ]]
}

is_confirmed() { [[ $(call GET "$order/v1/orders/$order_id" | field status) == confirmed ]]; }

has_mail() { curl -fsS "$mailpit/api/v1/messages" | grep -q "$1"; }

mail_is_sent() { call GET "$email/v1/emails?order_id=$order_id" | grep -q '"status": *"sent"'; }

check_order() {
  token=$(compose run --rm --no-TTY warren token 2>/dev/null) || fail "no token from the warren container"
  local sku
  for sku in carrot hay; do
    call PUT "$inventory/v1/products/$sku" \
      '{"name": "'$sku'", "unit_price": {"amount": 250, "currency": "EUR"}, "active": true}' | grep -q '"sku"' ||
      fail "product $sku was not made"
    call POST "$inventory/v1/products/$sku/stock" '{"delta": 100, "reason": "smoke"}' | grep -q on_hand ||
      fail "no stock for $sku"
  done
  customer=$(call POST "$order/v1/customers" '{"name": "Smoke", "email": "smoke@example.com"}' | field id)
  [[ -n $customer ]] || fail "no customer"
  eventually place_order
  eventually is_confirmed
  ok "order $order_id of two products is confirmed"
  eventually mail_is_sent
  eventually has_mail smoke@example.com
  ok "its mail is in Mailpit"
}

has_story_in() { compose logs --no-color --no-log-prefix "$1" 2>/dev/null | grep -q "$order_id"; }

check_story() {
  local service
  for service in order inventory email; do eventually has_story_in "$service"; done
  ok "docker compose logs tells of the order in all three services:"
  # by time; some versions of Compose put a terminal's control codes before each line
  compose logs --no-color order inventory email 2>/dev/null | tr -d '\033' | sed 's/^\[2K//' | grep "$order_id" |
    sort -t '|' -k 2 | cut -c1-130 | sed 's/^/      /'
}

# from_console METHOD PATH [BODY]: as its own page asks
from_console() {
  curl -sS --max-time 10 -b "$jar" -c "$jar" -X "$1" -H "Origin: $console" -H 'X-Warren-Console: 1' \
    ${3:+-H 'Content-Type: application/json' --data "$3"} "$console/api/$2"
}

sees_all() { [[ $(from_console GET overview | grep -o '"answers":true' | wc -l) == 3 ]]; }

check_console() {
  jar=$(mktemp)
  curl -fsS "$console/" | grep -q '<title>Warren' || fail "the console has no page"
  from_console POST session "{\"token\": \"$token\"}" | grep -q '"ops":true' || fail "the console does not let an operator in"
  eventually sees_all
  from_console GET "s/order/v1/orders/$order_id" | grep -q '"status": *"confirmed"' || fail "the console does not show the order"
  from_console GET dead-letters/groups | grep -q '"count":0' || fail "the console does not list dead letters"
  rm -f "$jar"
  ok "console: signed in, sees three services, the order, and no dead letter"
}

check_quiet() {
  local lines
  # that a statement was slow says something of the disk
  lines=$(compose logs --no-color order inventory email postgres 2>/dev/null | grep -E ' (WARN|ERROR|FATAL|PANIC):? ' |
    grep -vE 'slow statement|acquired connection, but time to acquire exceeded slow threshold' || true)
  [[ -z $lines ]] || fail "something went wrong on the way: $lines"
  ok "no service and no database complained"
}

check_containers() {
  local service id
  for service in $(compose ps --services); do
    id=$(compose ps --quiet "$service" | head -n 1)
    docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$id" |
      grep -qE '^[^ ]+ true \[ALL\] \[no-new-privileges:true\]$' || fail "$service is not hardened"
    docker exec "$id" cat /proc/1/status | grep -qE '^Uid:[[:space:]]+[1-9]' || fail "$service runs as root"
    docker exec "$id" cat /proc/1/status | grep -qE '^CapEff:[[:space:]]+0+$' || fail "$service has capabilities"
    refused 'Read-only file system' docker exec "$id" touch /probe
    docker inspect --format '{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}' "$id" |
      grep -qE '^(127\.0\.0\.1 )+$' || fail "$service has a port that is not on 127.0.0.1"
  done
  ok "containers: not root, read-only, without capabilities, ports on 127.0.0.1 only"
}

# sql DATABASE STATEMENT: as the order service
sql() { compose exec -T postgres psql -X "${order_database_url%/*}/$1" -c "$2"; }

check_database_rights() {
  order_database_url=$(compose run --rm --no-TTY --no-deps --entrypoint printenv order DATABASE_URL 2>/dev/null)
  sql order 'select count(*) from event' >/dev/null || fail "the order service cannot read its own tables"
  refused 'permission denied for schema' sql order 'create table probe ()'
  refused 'must be owner' sql order 'drop table event'
  refused 'permission denied for database' sql inventory 'select 1'
  refused 'permission denied for database' sql postgres 'select 1'
  compose run --rm --no-TTY --no-deps order projections verify >/dev/null 2>&1 || fail "the order service's role cannot verify read models"
  ok "database: the order service's role works with its rows, verifies read models, changes no schema, and opens no other database"
}

# as_service COMMAND…: warren with the broker rights of the order service
as_service() {
  local url
  url=$(compose run --rm --no-TTY --no-deps --entrypoint printenv order AMQP_URL 2>/dev/null)
  compose run --rm --no-TTY --env AMQP_URL="$url" --env RABBITMQ_MANAGEMENT_URL= warren "$@"
}

sees_its_queues() { curl -fsS "$order/metrics" | grep -q '^warren_queue_consumers{queue="order"} 1'; }

check_broker_rights() {
  compose run --rm --no-TTY warren topology check >/dev/null 2>&1 || fail "warren topology check finds a difference"
  refused 'ACCESS_REFUSED' as_service topology apply
  eventually sees_its_queues
  ok "broker: the topology is complete; the order service's user declares nothing, and counts its queues"
}

consumers() { compose exec -T rabbitmq rabbitmqctl --quiet list_queues --vhost warren name consumers | tr '\t' ' '; }

has_copies() { consumers | grep -qx 'inventory 3' && consumers | grep -qx 'email 2'; }

check_scaling() {
  compose up --detach --wait --no-recreate --scale inventory=3 --scale email=2 2>/dev/null || fail "cannot scale"
  eventually has_copies
  is_ready "http://$(address inventory 8081 2)" || fail "the second copy of inventory is not ready"
  eventually place_order
  eventually is_confirmed
  ok "three copies of inventory and two of email: order $order_id is confirmed"
}

check_volumes() {
  compose down >/dev/null 2>&1
  compose up --detach --wait 2>/dev/null || fail "does not start again"
  find_addresses
  check_readiness
  is_confirmed || fail "order $order_id is lost"
  eventually place_order
  eventually is_confirmed
  ok "stopped and started again: the data is there, and order $order_id is confirmed"
}

start
find_addresses
check_readiness
check_order
check_story
check_console
check_quiet
check_containers
check_database_rights
check_broker_rights
check_scaling
check_volumes
say "all well"
