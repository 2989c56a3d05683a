#!/usr/bin/env bash
# Builds everything and runs every test: the .NET suites first, then clients that we did not write (Amplify, a browser, Python, curl).
# Needs the .NET 10 SDK and Node. Installs Debian packages and npm packages that it lacks; what it cannot have it skips, and says so.
# The last line is "N passed, N failed, N skipped"; the exit code is 0 only where nothing failed.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/debian.sh
. tests/debian.sh

passed=0 failed=0 skipped=0
say() { printf '\n== %s\n' "$*"; }

finish() {
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# count FILE PATTERN: the number that follows the pattern, summed over the file's lines.
count() { grep -oE "$2[^0-9]*[0-9]+" "$1" | grep -oE '[0-9]+$' | awk '{ sum += $1 } END { print sum + 0 }'; }

# run_dotnet_tests SECONDS PROJECT: runs what has been built, and counts.
run_dotnet_tests() {
  timeout "$1" dotnet test "$2" -c Release --no-build -nologo --logger 'console;verbosity=minimal' 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]} dotnet_failed
  passed=$((passed + $(count "$log" '^(Passed|Failed)!.*Passed:')))
  skipped=$((skipped + $(count "$log" '^(Passed|Failed)!.*Skipped:')))
  dotnet_failed=$(count "$log" '^(Passed|Failed)!  - Failed:')
  # A run that ended without a verdict, by a crash or the time limit, failed too.
  [ "$status" -ne 0 ] && [ "$dotnet_failed" -eq 0 ] && dotnet_failed=1
  failed=$((failed + dotnet_failed))
}

# A load test holds 10,000 connections from one process; the usual soft limit is 1,024 open files.
ulimit -n "$(ulimit -Hn)" 2>/dev/null

# Debian starts a Redis on its usual port when the package is installed. The tests start their own, on ports of their own, so one that
# was not there before is stopped again.
had_redis=$(command -v redis-server)
install_debian_packages redis-server
[ -z "$had_redis" ] && command -v redis-server >/dev/null && stop_debian_service redis-server

install_debian_packages curl openssl chromium python3-websocket python3-botocore
# By command, and each by itself: these are often installed from elsewhere, and Debian's package would then be in the way.
command -v redis-server >/dev/null || command -v valkey-server >/dev/null || install_debian_packages redis-server
command -v kubectl >/dev/null || install_debian_packages kubernetes-client
command -v shellcheck >/dev/null || install_debian_packages shellcheck

# First, since some of the .NET tests talk to servers that are npm packages.
say 'Installing npm packages'
clients='ready'
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  clients='Node is not installed'
  echo "$clients."
elif ! npm ci --prefix tests/clients --no-audit --no-fund --loglevel=error; then
  clients='failed'
  echo 'Failed: the npm packages of tests/clients could not be installed.'
fi

say 'Building'
if ! dotnet build Gateway.slnf -c Release -nologo -v quiet; then
  failed=1
  finish
fi

say 'Running the .NET tests'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run_dotnet_tests 900 Gateway.slnf

# The cluster is built on Orleans, which not every feed has; without it, everything else is still worth running.
say 'Building the cluster'
if ! dotnet restore tests/Broker.Tests -nologo -v quiet >"$log" 2>&1; then
  echo 'Skipped: the package feed lacks Microsoft.Orleans.*, so Broker and its tests are not built.'
  skipped=$((skipped + 1))
elif ! dotnet build tests/Broker.Tests -c Release --no-restore -nologo -v quiet; then
  failed=$((failed + 1))
else
  say 'Running the tests of the cluster'
  run_dotnet_tests 900 tests/Broker.Tests
fi

say 'Running the clients'
if [ "$clients" = 'failed' ]; then
  failed=$((failed + 1))
elif [ "$clients" != 'ready' ]; then
  echo "Skipped: $clients."
  skipped=$((skipped + 1))
else
  timeout 600 npm test --prefix tests/clients --silent 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  passed=$((passed + $(count "$log" '^(ℹ|#) pass')))
  skipped=$((skipped + $(count "$log" '^(ℹ|#) skipped')))
  clients_failed=$(count "$log" '^(ℹ|#) fail')
  [ "$status" -ne 0 ] && [ "$clients_failed" -eq 0 ] && clients_failed=1
  failed=$((failed + clients_failed))
fi

finish
