#!/bin/sh
# Ordered ids: prints the number of an invoice, without gaps, and the same one when it is asked for the same order again.
#
#   order-id.sh ORDER
#
# The order's own key makes the call safe to repeat: after an error run it again, no number is lost and none is given twice.
exec kahuna seq next invoices --idem "$1"
