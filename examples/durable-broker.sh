#!/usr/bin/env bash
# A broker with a store is killed in the middle of a stream and started again: the reader, which is away, gets all of it.
#
#   examples/durable-broker.sh
#
# It needs the Release build: dotnet build -c Release
set -euo pipefail
cd "$(dirname "$0")/.."

export DOTNET_NOLOGO=1 NO_COLOR=1
command=${1:-src/CSharp/Mqtt5.Cli/bin/Release/net10.0/mqtt5.dll}
messages=100
scratch=$(mktemp -d)
broker=
port=0

finish() {
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    wait
    rm -rf "$scratch"
}
trap finish EXIT

mqtt5() { dotnet "$command" "$@"; }

start() {
    dotnet "$command" broker --port "$port" --store "$scratch/store" >"$scratch/listening" &
    broker=$!

    for _ in {1..300}; do
        port=$(sed -n 's/^listening mqtt:.*:\([0-9]*\)$/\1/p' "$scratch/listening")
        [ -z "$port" ] || return 0
        sleep 0.1
    done

    echo "the broker does not start; is the Release build there? dotnet build -c Release"
    return 1
}

start
# The reader subscribes and goes; its session stays for an hour.
mqtt5 sub -p "$port" -i reader -c -x 3600 -q 1 -t stream -E

# Shows when the stream runs.
mqtt5 sub -p "$port" -q 1 -t stream -C 20 -W 30 >/dev/null 2>&1 &
running=$!

for number in $(seq "$messages"); do
    echo "$number"
    sleep 0.03
done | mqtt5 pub -p "$port" -i writer -q 1 -t stream -l 2>/dev/null &
writer=$!

wait "$running" || true
kill -KILL "$broker"
wait "$broker" || true
echo "killed"
start
wait "$writer"

# A message may come twice at QoS 1, so they are counted by their numbers.
received=$(mqtt5 sub -p "$port" -i reader -c -x 3600 -q 1 -t stream -W 5 2>/dev/null | sort -n | uniq | wc -l || true)
echo "$received of $messages messages are there"
