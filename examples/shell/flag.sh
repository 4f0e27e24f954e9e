#!/bin/sh
# Feature flags: flag.sh NAME tells whether a flag is on (exit code 0), flag.sh NAME on|off changes it.
#
#   flag.sh new-checkout && echo "the new one"
#
# A flag that nobody has set is off, and so is one when no server answers: choose what is safe for you. Older values stay readable:
# redis-cli KHISTORY flag/new-checkout tells what it was, and when.
case $2 in
on | off) exec kahuna kv set "flag/$1" "$2" ;;
'') [ "$(kahuna kv get "flag/$1" --timeout 1s 2>/dev/null)" = on ] ;;
*) echo "flag: on or off, not $2" >&2 && exit 64 ;;
esac
