# The arguments come as one JSON object on standard input; what is printed is the result.
printf '{"bytes": %d}\n' "$(wc -c)"
