#!/bin/sh
# Runs nvcc, given with its arguments, and keeps what ptxas says of each kernel beside the object file, as OBJECT.ptxas,
# for tests/check_ptxas.py. Everything else goes where it always goes. Usage: ptxas_report.sh NVCC ARGUMENT...
object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
case $object in
*.o) ;;
*) exec "$@" ;;
esac
"$@" -Xptxas -v 2>"$object.stderr"
status=$?
grep -E 'ptxas info|bytes stack frame' "$object.stderr" >"$object.ptxas"
grep -vE 'ptxas info|bytes stack frame' "$object.stderr" >&2
rm -f "$object.stderr"
exit $status
