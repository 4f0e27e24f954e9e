#!/bin/sh
# Rate limit: at most LIMIT calls in each window of SECONDS, over all machines. Exit code 0: go on; 75: too many; 69: no answer.
#
#   rate-limit.sh NAME LIMIT SECONDS
#
# The counter and its expiry are made in one transaction, so no counter is ever left without an end.
addr=${KAHUNA_ADDR:-127.0.0.1:6379}
addr=${addr%%,*}
count=$(printf 'MULTI\nSET rate:%s 0 NX EX %d\nINCR rate:%s\nEXEC\n' "$1" "$3" "$1" |
	redis-cli -h "${addr%:*}" -p "${addr##*:}" | tail -n 1)
case $count in
'' | *[!0-9]*) echo "rate-limit: $count" >&2 && exit 69 ;;
esac
[ "$count" -le "$2" ] || exit 75
