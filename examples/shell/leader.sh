#!/bin/sh
# Leader election: of all machines that run this, one at a time runs the command; when it dies or is cut off, another does.
#
#   leader.sh NAME COMMAND [ARGUMENT...]
#
# The command is stopped before its lease can end. Should its machine hang for longer than that, two may believe for a moment that
# they lead: so it passes KAHUNA_LOCK_TOKEN along with whatever it writes, and what it writes to refuses a smaller one than it saw.
name=$1
shift
while :; do
	kahuna lock "leader:$name" --wait 12h --ttl 10s -- "$@"
	code=$?
	case $code in
	69 | 74 | 75) sleep 1 ;; # no server, lost, or waited in vain: try again
	*) exit $code ;;
	esac
done
