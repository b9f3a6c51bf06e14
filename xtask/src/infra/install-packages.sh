#!/bin/sh
# Installs packages (the arguments) of Debian or Ubuntu for their programs alone: no server is started now, and none
# that was not there before at the next boot. Run as root.
set -eu

policy=/usr/sbin/policy-rc.d
mark='# made by cargo xtask for the time of an installation'
# One that is left of an interrupted run is ours to remove.
if [ -f "$policy" ] && grep -qxF "$mark" "$policy"; then rm -f "$policy"; fi
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"

if [ -d /run/systemd/system ]; then
  for package in "$@"; do systemctl disable --quiet "$package.service" || true; done
fi
