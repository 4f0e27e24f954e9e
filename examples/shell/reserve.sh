#!/bin/sh
# Inventory: takes N pieces of an article out of stock, if there are as many. Exit code 0: they are yours; 75: sold out.
#
#   kahuna kv set stock/ARTICLE 100
#   reserve.sh ARTICLE N
#
# The new number is set only if the old one is still there, else it is read again: two that come at the same time can't both get
# the last piece. Exit code 74: it is not known whether they were taken; see the Go example for one that is safe to repeat.
key=stock/$1 n=$2
while :; do
	have=$(kahuna kv get "$key") || exit
	[ "$have" -ge "$n" ] || exit 75
	kahuna kv set "$key" $((have - n)) --if-value "$have" >/dev/null 2>&1
	code=$?
	[ $code = 1 ] || exit $code # 1: somebody was faster
done
