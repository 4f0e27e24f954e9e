#!/bin/sh
# Cron that runs once: the same crontab on every machine, and each run is done by one of them. If that fails, another tries.
#
#   * * * * *  cron-once.sh NAME COMMAND [ARGUMENT...]
#
# PERIOD names the run; by default it is the minute. Clocks that differ by less than half a period do no harm.
name=$1 period=${PERIOD:-$(date -u +%Y-%m-%dT%H:%M)}
shift
# -E 0: another machine is at it. Within the lock nobody else can be: look whether it is done, else do it and note that.
exec kahuna lock "cron:$name" -E 0 -- sh -c '
	done=$1
	shift
	kahuna kv get "$done" >/dev/null 2>&1
	case $? in
	0) exit 0 ;;
	1) ;; # not done yet
	*) exit 69 ;;
	esac
	"$@" && kahuna kv set "$done" "$KAHUNA_LOCK_OWNER" --ttl 48h >/dev/null' sh "cron/$name/$period" "$@"
