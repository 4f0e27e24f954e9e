#!/bin/sh
# Service discovery: keeps an entry for one instance while the command runs. Without renewal it ends by itself after 10 s.
#
#   register.sh SERVICE HOST:PORT COMMAND [ARGUMENT...]
#   redis-cli KPREFIX service/SERVICE/                # all instances, one consistent snapshot
key=service/$1/$2 address=$2
shift 2
"$@" &
command=$!
while kill -0 $$ 2>/dev/null; do # as long as this script is there
	kahuna kv set "$key" "$address" --ttl 10s >/dev/null # an error: the entry is still there for a while; go on
	sleep "${PAUSE:-3}"
done &
renewer=$!
trap 'kill $command' INT TERM
wait $command
code=$?
kill -0 $command 2>/dev/null && wait $command && code=$? # a signal ended the first wait
kill $renewer
kahuna kv del "$key" >/dev/null
exit $code
