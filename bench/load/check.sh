#!/bin/sh
# Lets the generator measure a floor that makes mistakes: it has to find each of them, and none in one that makes none.
set -u
cd "$(dirname "$0")" || exit 1
port=${1:-18999}
wrong=0

run() { # fault, what the generator has to say, arguments
    fault=$1 wanted=$2
    shift 2
    ../floor/floor --port "$port" --fault "$fault" & floor=$!
    sleep 0.2
    said=$(timeout 30 ./load "$@" --port "$port" --pid "$floor" --seconds 0.3 2>&1)
    code=$?
    kill "$floor"
    wait "$floor" 2>/dev/null
    if { [ "$wanted" = '"ok":true' ] && [ $code -ne 0 ]; } || { [ "$wanted" != '"ok":true' ] && [ $code -eq 0 ]; } \
        || ! printf '%s' "$said" | grep -Eq "$wanted"; then
        printf 'WRONG: with fault %s, %s: exit code %s, wanted %s\n%s\n' "$fault" "$*" $code "$wanted" "$said"
        wrong=1
    else
        printf 'right: with fault %s, %s\n' "$fault" "$*"
    fi
}

for load in 'fanout --subscribers 20' 'fanout --subscribers 20 --delivery-rate 20000' 'fanout --subscribers 20 --threads 2' \
    'channels --channels 50' 'wildcards --subscribers 20 --batch 5' 'publish --publishers 8 --subscribers 2' 'publish --http --publishers 4 --window 4' \
    'storm' 'idle --connections 500 --settle 0.1' 'slow --subscribers 20 --bytes 2000'; do
    # shellcheck disable=SC2086
    run none '"ok":true' $load
done
for load in 'fanout --subscribers 20' 'wildcards --subscribers 20 --batch 5' 'fanout --subscribers 20 --threads 2'; do
    # shellcheck disable=SC2086
    {
        run drop '"missing":[1-9]' $load
        run duplicate '"duplicate":[1-9]' $load
        run reorder '"out_of_order":[1-9]' $load
        run damage 'damaged|nobody published' $load
    }
done
run drop '"missing":[1-9]' idle --connections 2000 --settle 0.1
exit $wrong
