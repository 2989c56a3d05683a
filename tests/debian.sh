# shellcheck shell=bash
# Debian packages, for the scripts that install what they need; to be sourced.

# install_debian_packages PACKAGE…: installs those that are missing, as root on Debian. Elsewhere it says which ones are not there.
install_debian_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  printf '\n== Installing Debian packages: %s\n' "${missing[*]}"
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } >/dev/null 2>&1 \
      || echo "Not installed: ${missing[*]}. What needs them is skipped."
  else
    echo "Not installed, since this is not root on Debian: ${missing[*]}. What needs them is skipped."
  fi
}

# stop_debian_service NAME: Debian starts a server when it installs it.
stop_debian_service() {
  if [ -d /run/systemd/system ]; then
    systemctl disable --now "$1"
  else
    service "$1" stop
  fi >/dev/null 2>&1
}
