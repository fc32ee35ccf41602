#!/bin/sh
# A walk through the management interface with nothing but curl and a shell: it asks the gateway what it is, looks at its connections,
# sends a message, and waits for its report.
#
#   MI=http://127.0.0.1:8888/mi ./walkthrough.sh +4915112345678
#
# With mi.tokens, put a token into TOKEN.
set -eu
MI=${MI:-http://127.0.0.1:8888/mi}
TO=${1:-+4915112345678}

# mi METHOD [PARAMETERS]: a call. Its answer is one line of JSON; an error has "error" in it, with HTTP status 200.
mi() {
  answer=$(curl -sS --fail-with-body --max-time 30 -H 'Content-Type: application/json' ${TOKEN:+-H "Authorization: Bearer $TOKEN"} \
    -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":${2:-[]}}" "$MI")
  case $answer in
    *'"error":{'*) echo "$1 was refused: $answer" >&2; return 1 ;;
  esac
  printf '%s\n' "$answer"
}

# field NAME: the first string of that name in the JSON that comes in.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

echo "== Who is there, and what can it do?"
mi version
mi which '{"command":"message_send"}'

echo "== Which connections are there?"
mi smpp_list

echo "== Where would a message go, and why? (Nothing is sent.)"
mi route_test "{\"from\":\"100\",\"to\":\"$TO\",\"text\":\"hello\"}"

echo "== Send it. The key makes it safe to ask again: the second call sends nothing."
key="walkthrough-$$-$(date +%s)"
message="{\"from\":\"100\",\"to\":\"$TO\",\"text\":\"hello\",\"receipt\":true,\"idempotency_key\":\"$key\"}"
id=$(mi message_send "$message" | field id)
again=$(mi message_send "$message" | field id)
[ -n "$id" ] && [ "$id" = "$again" ] || { echo "got $id and $again" >&2; exit 1; }
echo "its id is $id"

echo "== What became of it?"
state=
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  shown=$(mi message_show "{\"id\":\"$id\"}")
  state=$(printf '%s' "$shown" | sed -n 's/.*"report":{"state":"\([a-z]*\)".*/\1/p')
  [ -z "$state" ] || break
  sleep 0.5
done
printf '%s\n' "$shown"
echo "its report: ${state:-none yet}"

echo "== What does the gateway count?"
mi get_statistics '["smpp:"]'
