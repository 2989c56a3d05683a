#!/usr/bin/env bash
# Starts a cluster on this machine: Redis, silos and gateways, each a process of its own. Ctrl+C stops them all.
# Needs the .NET SDK and Redis or Valkey. "--help" shows the options.
#
# Exit code: 0 where it was stopped and all ended by themselves, 1 where something did not start or had to be killed, 2 for a
# wrong command line.
set -uo pipefail

usage() {
  cat <<'USAGE'
Usage: deploy/local-cluster.sh [options] [-- options of every gateway]

  --backplane orleans|redis  orleans (default): Redis, silos and gateways. redis: Redis and standalone gateways.
  --gateways N               how many gateways (2)
  --silos N                  how many silos (2)
  --port P                   port of the first gateway (8080); the others follow
  --silo-port P              port for silos of the first silo (11111); the others follow
  --orleans-gateway-port P   port for gateways of the first silo (30000); the others follow
  --silo-http-port P         port for health and metrics of the first silo (8180); the others follow
  --redis-port P             port of Redis (16379)
  --data DIR                 keeps key, logs and Redis' data here; without it, a temporary folder that is removed
  --no-build                 takes the programs as they were built
USAGE
}

backplane=orleans gateways=2 silos=2
port=8080 silo_port=11111 orleans_gateway_port=30000 silo_http_port=8180 redis_port=16379
data='' build=1

wrong() { printf 'local-cluster: %s See --help.\n' "$1" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --no-build) build=0; shift; continue ;;
    --) shift; break ;;
    --backplane | --gateways | --silos | --port | --silo-port | --orleans-gateway-port | --silo-http-port | --redis-port | --data) ;;
    *) wrong "Unknown option '$1'." ;;
  esac
  [ $# -ge 2 ] || wrong "The option '$1' lacks its value."
  case $1 in
    --data) ;;
    --backplane) case $2 in orleans | redis) ;; *) wrong "There is no backplane '$2': orleans or redis." ;; esac ;;
    *) [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || wrong "The option '$1' takes a number, not '$2'." ;;
  esac
  name=${1#--}
  printf -v "${name//-/_}" '%s' "$2"
  shift 2
done
# What is left, "$@", is for the gateways.
[ "$backplane" = orleans ] || silos=0

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
fail() { printf 'local-cluster: %s\n' "$*" >&2; exit 1; }

redis_server=$(command -v redis-server || command -v valkey-server) \
  || fail 'There is no redis-server and no valkey-server. Debian: apt-get install redis-server; macOS: brew install redis.'
command -v dotnet >/dev/null || fail 'There is no dotnet. https://dotnet.microsoft.com/download has the .NET 10 SDK.'

# Whether something listens on a port of this machine.
is_open() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# require_free OPTION FIRST COUNT: all ports are looked at before anything starts.
require_free() {
  local candidate
  for ((candidate = $2; candidate < $2 + $3; candidate++)); do
    if is_open "$candidate"; then fail "Port $candidate is in use. Choose another with $1."; fi
  done
}
require_free --redis-port "$redis_port" 1
require_free --port "$port" "$gateways"
require_free --silo-port "$silo_port" "$silos"
require_free --orleans-gateway-port "$orleans_gateway_port" "$silos"
require_free --silo-http-port "$silo_http_port" "$silos"

project=Broker
[ "$backplane" = redis ] && project=Gateway
program=$root/$project/bin/Release/net10.0/Fanfare.$project.dll
if [ "$build" -eq 1 ]; then
  echo "Building $project…"
  if ! output=$(dotnet build "$root/$project" -c Release -nologo -v quiet 2>&1); then
    printf '%s\n' "$output" >&2
    hint=''
    [ "$backplane" = orleans ] && hint=' Where it is the packages of Orleans that are missing, "--backplane redis" does without.'
    fail "$project does not build.$hint"
  fi
fi
[ -f "$program" ] || fail "There is no $program. Run without --no-build."

names=() pids=() watched=()
temporary='' exit_code=0 is_stopping=''

# stop_all PATTERN: asks the processes of that name to end, and kills those that do not within the bound.
stop_all() {
  local i deadline=$((SECONDS + 20))
  for i in "${!pids[@]}"; do
    [[ ${names[i]} == "$1"* ]] && kill -TERM "${pids[i]}" 2>/dev/null
  done
  for i in "${!pids[@]}"; do
    [[ ${names[i]} == "$1"* ]] || continue
    while kill -0 "${pids[i]}" 2>/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        echo "${names[i]} did not end in time and was killed."
        kill -KILL "${pids[i]}" 2>/dev/null
        exit_code=1
        break
      fi
      sleep 0.1
    done
    wait "${pids[i]}" 2>/dev/null
  done
}

# Gateways first, while there is a cluster to say goodbye to; Redis last.
stop() {
  trap '' INT TERM
  [ -n "$is_stopping" ] && echo && echo 'Stopping…'
  stop_all gateway
  stop_all silo
  stop_all redis
  [ -n "$temporary" ] && rm -rf "$temporary"
  exit "$exit_code"
}
trap 'exit_code=$?; stop' EXIT
trap 'is_stopping=1; exit 0' INT TERM

if [ -z "$data" ]; then
  temporary=$(mktemp -d) || exit 1
  data=$temporary
fi
mkdir -p "$data/redis" "$data/logs" || exit 1
data=$(cd "$data" && pwd) || exit 1

# start NAME COMMAND…: runs it in the background with its output in a file, and in a process group of its own: Ctrl+C is then this
# script's to act on, and does not end Redis while others still need it.
start() {
  local name=$1
  shift
  set -m
  "$@" >"$data/logs/$name.log" 2>&1 </dev/null &
  names+=("$name") pids+=($!) watched+=(1)
  set +m
}

show_log() {
  printf '\nThe last lines of %s:\n' "$1" >&2
  tail -n 20 "$data/logs/$1.log" >&2
}

# await NAME CHECK…: until the check succeeds; fails where the process ends or the time is over.
await() {
  local i name=$1 deadline=$((SECONDS + 60))
  shift
  for i in "${!names[@]}"; do [ "${names[i]}" = "$name" ] && break; done
  until "$@"; do
    if ! kill -0 "${pids[i]}" 2>/dev/null; then
      show_log "$name"
      fail "$name ended before it was ready."
    elif [ "$SECONDS" -ge "$deadline" ]; then
      show_log "$name"
      fail "$name was not ready within 60 seconds."
    fi
    sleep 0.1
  done
}

# answers PORT REQUEST EXPECTED: whether the first line of the answer holds a text.
answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf '%b' "$2" >&3
    IFS= read -r -t 2 line <&3
    [[ $line == *"$3"* ]]
  ) 2>/dev/null
}
is_healthy() { answers "$1" 'GET /health HTTP/1.0\r\n\r\n' ' 200 '; }

echo "Starting Redis, ${silos/#0/no} silos and $gateways gateways…"
start redis "$redis_server" --bind 127.0.0.1 --port "$redis_port" --dir "$data/redis" --appendonly yes --save ''
await redis answers "$redis_port" 'PING\r\n' PONG

export ConnectionStrings__redis=127.0.0.1:$redis_port
# A stop is bounded here as well.
export Fanfare__ShutdownTimeout=00:00:15
if [ "$backplane" = orleans ]; then
  export Orleans__ClusterId=fanfare Orleans__ServiceId=fanfare
  export Orleans__Clustering__ProviderType=Redis Orleans__Clustering__ServiceKey=redis
  for ((n = 1; n <= silos; n++)); do
    start "silo-$n" env \
      Orleans__GrainStorage__Default__ProviderType=Redis Orleans__GrainStorage__Default__ServiceKey=redis \
      Orleans__Endpoints__AdvertisedIPAddress=127.0.0.1 \
      Orleans__Endpoints__SiloPort=$((silo_port + n - 1)) Orleans__Endpoints__GatewayPort=$((orleans_gateway_port + n - 1)) \
      dotnet "$program" --roles Silo --urls "http://127.0.0.1:$((silo_http_port + n - 1))"
  done
  for ((n = 1; n <= silos; n++)); do await "silo-$n" is_healthy $((silo_http_port + n - 1)); done
  role=(--roles Gateway)
else
  role=(--backplane redis)
fi

for ((n = 1; n <= gateways; n++)); do
  start "gateway-$n" dotnet "$program" "${role[@]}" --urls "http://localhost:$((port + n - 1))" --data "$data/identity" "$@"
done
for ((n = 1; n <= gateways; n++)); do
  await "gateway-$n" grep -q '^Fanfare is listening' "$data/logs/gateway-$n.log"
  await "gateway-$n" is_healthy $((port + n - 1))
done

echo
for i in "${!names[@]}"; do
  case ${names[i]} in
    redis) address="127.0.0.1:$redis_port" ;;
    silo-*) address="http://127.0.0.1:$((silo_http_port + ${names[i]#silo-} - 1))/health" ;;
    *) address="http://localhost:$((port + ${names[i]#gateway-} - 1))" ;;
  esac
  printf '  %-10s %-32s pid %s\n' "${names[i]}" "$address" "${pids[i]}"
done
grep -m 1 '^  API key' "$data/logs/gateway-1.log"
echo "  Logs       $data/logs"

# The gateways' own examples: to receive, the first one's; to publish, the last one's.
receive=$(grep -m 1 '^  npx wscat ' "$data/logs/gateway-1.log")
publish=$(grep -m 1 '^  curl ' "$data/logs/gateway-$gateways.log")
if [ -n "$receive" ] && [ -n "$publish" ]; then
  printf '\nReceive events at the first gateway (a second terminal):\n\n%s\n' "$receive"
  printf '\nPublish one at the last (a third):\n\n%s\n' "$publish"
fi
printf '\nThe cluster is ready. Ctrl+C stops it.\n'

# A node may die: that is what a cluster is for. It is reported, and the rest goes on.
while :; do
  alive=0
  for i in "${!pids[@]}"; do
    if kill -0 "${pids[i]}" 2>/dev/null; then
      alive=$((alive + 1))
    elif [ "${watched[i]}" -eq 1 ]; then
      watched[i]=0
      wait "${pids[i]}" 2>/dev/null
      echo "${names[i]} ended (exit code $?); its log is $data/logs/${names[i]}.log"
    fi
  done
  [ "$alive" -gt 0 ] || fail 'All processes have ended.'
  # In the background, so that a signal need not wait for its end.
  sleep 0.5 &
  wait $! 2>/dev/null
done
