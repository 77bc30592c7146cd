#!/bin/bash
# A script for mosquitto's clients, which runs with mqtt5 in their place as well. Standard error is not compared: the
# words of failures differ. PORT is a broker's; PART says which half runs, so that both can at the same time. Each step
# prints its output and its exit code.
pub() { mosquitto_pub -V 5 -h 127.0.0.1 -p "$PORT" "$@"; }
sub() { mosquitto_sub -V 5 -h 127.0.0.1 -p "$PORT" "$@"; }
rr() { mosquitto_rr -V 5 -h 127.0.0.1 -p "$PORT" "$@"; }
step() {
    echo "== ${*//"$file"/FILE}"
    "$@" 2>/dev/null | sed -E 's/"tst":(\t?)"[^"]*"/"tst":\1"T"/g' | od -A d -c
    echo "exit ${PIPESTATUS[0]}"
}
# mosquitto_pub prints its help where topic or message are missing.
code() { "$@" >/dev/null; }
in_() { local text=$1; shift; printf '%b' "$text" | "$@"; }

if [ "$PART" = messages ]; then
    file=$(mktemp)
    trap 'rm -f "$file"' EXIT
    printf 'from a file\n\001\377\000end' >"$file"
    step pub -t s/1 -m hello -r
    step sub -t s/1 -C 1
    step sub -t s/1 -C 1 -v
    step sub -t 's/#' -C 1 -v -N
    step pub --topic s/2 --message 'käse €' --retain --qos 1
    step sub -t s/2 -t s/1 -C 2 -q 1
    step sub -t 's/+' -T s/1 -C 1 -F '%t %p %q %r %l %m'
    step pub -t s/bin -f "$file" -r
    step sub -t s/bin -C 1 -N
    step sub -t s/bin -C 1 -F '%x|%X|%l'
    step in_ 'all of\nthe input' pub -t s/in -s -r -q 2
    step sub -t s/in -C 1
    step pub -t s/bytes -m $'a\xff\xfeb' -r
    step sub -t s/bytes -C 1
    step sub -t s/bytes -C 1 -F $'\xff%p'
    step pub -t s/bytes -m x -r -D publish correlation-data $'c\xff'
    step sub -t s/bytes -C 1 -F %D
    printf 'a\0b\nc\0' >"$file"
    step pub -t s/zeros -f "$file" -r
    step sub -t s/zeros -C 1 -N
    step in_ 'a\0b\n' pub -t s/zeros -s -r
    step sub -t s/zeros -C 1 -N
    step pub -t s/kept -m kept -r
    step in_ '' pub -t s/kept -s -r
    step in_ '' pub -t s/kept -l -r
    step sub -t s/kept -C 1
    step pub -t s/kept -f /dev/null -r
    step sub -t s/kept -W 1
    step pub -t s/kept -m kept -r
    step pub -t s/kept -m '' -r
    step sub -t s/kept -W 1
    step pub -t s/minus -m -n -r
    step sub -t s/minus -C 1 -F '[%p]'
    step pub -t s/props -m '{"a":[1,2.50,"x"]}' -r -q 1 -D publish user-property k 'v w' -D publish user-property l m -D publish content-type application/json -D publish response-topic r/t -D publish correlation-data c0 -D publish payload-format-indicator 1
    step sub -t s/props -C 1 -q 1 -F '%C|%D|%E|%F|%P|%R|%S|%A|%J|%j'
    step sub -t s/props -C 1 -q 1 -F '%j' --pretty
    step sub -t s/props -C 1 -F '%J' --pretty -q 2
    step sub -t s/1 -C 1 -F '%J'
    step sub -t s/2 -C 1 -F '%j'
    step sub -t s/1 -C 1 -F '%10t|%-10t|%.1t|%5.2t|%05l|%-5l|%3p|%10p|%-8p|%010x|%6X|%5F|%05A|%4C|%4R|%9S|%%|%5%'
    step sub -t s/1 -C 1 -F 'a\tb\nc\\\a\e\v\r\0@@'
    step sub -t s/1 -C 1 -F ''
    step sub -t s/1 -C 1 -v -F '%t'
    step sub -t 's/#' -R -W 1
    step sub -t s/1 --retained-only -W 6 -v
    step sub -t nothing -W 1
    step sub -c -i keeper -q 2 -t 'q/#' -E
    step pub -t q/1 -m one -q 1
    step in_ 'l1\n\nl 3\r\nl4' pub -t q/lines -l -q 1
    step pub -t q/null -n -q 1
    step pub -t q/again -m again -q 1 --repeat 3 --repeat-delay 0.1
    step pub -t q/2 -m two -q 2
    step sub -c -i keeper -q 2 -t 'q/#' -C 10 -v
    step sub -i keeper -t 'q/#' -E
    step sub -c -i leaver -q 1 -t u/1 -t u/2 -E
    step sub -c -i leaver -q 1 -t u/1 -U u/2 -E
    step pub -t u/2 -m gone -q 1
    step pub -t u/1 -m kept -q 1
    step sub -c -i leaver -q 1 -t u/1 -C 1 -v
    step sub -x 60 -i expirer -q 1 -t x/1 -E
    step pub -t x/1 -m kept -q 1
    step sub -c -x 0 -i expirer -q 1 -t x/1 -C 1
    step sub -t w/none -W 6 --will-topic w/1 --will-payload bye --will-retain --will-qos 1
    step sub -t w/1 -C 1 -v
    step pub -t r/1 -m a -r
    step pub -t r/2 -m b -r
    step sub -t 'r/#' -T r/2 --remove-retained -W 6 -v
    step sub -t 'r/#' -C 1 -v
    step pub -t r/2 -r -n
    step sub -t r/2 -W 1
    step pub -t ans -m 42 -r
    step rr -t ask -e ans -m '?' -W 30
    step rr -t ask -e ans -m '?' -W 30 -v -q 1
    step rr -t ask -e no/answer -m '?' -W 1
else
    step pub -t ans -m 42 -r
    step pub -L "mqtt://127.0.0.1:$PORT/url/1" -m by-url -r
    step sub -L "mqtt://127.0.0.1:$PORT/url/1" -C 1 -v
    step pub -u anna -P s3cret -t auth/1 -m in -r
    step sub -L "mqtt://anna:s3cret@127.0.0.1:$PORT/auth/1" -C 1
    step pub -u anna -P wrong -t auth/1 -m out
    step sub -u anna -P wrong -t auth/1
    step rr -u anna -P wrong -t ask -e ans -m x
    step pub -t a -m b -p 1
    step sub -t a -p 1
    step rr -t a -e b -m c -p 1
    step code pub -t a
    step code pub -m b
    step pub -t 'a/#' -m b
    step pub -t a -m b -n
    step pub -t $'a\xff' -m b
    step sub -t $'a\xff' -W 1
    step rr -t $'a\xff' -e b -m c
    step pub -t a -m b -u $'a\xff' -P c
    step pub -t a -m b -i $'a\xff'
    step pub -t a -m b --will-topic $'a\xff'
    step pub -t a -m b -D publish content-type $'a\xff'
    step pub -t a -m b -q 3
    step pub -t a -m b -q
    step pub -t a -m b --nope
    step pub -t a -m b extra
    step pub -t a -f /there/is/no/such/file
    step pub -t a -m b -p 70000
    step pub -t a -m b -i x -I y
    step pub -t a -m b --repeat 0
    step pub -t a -m b -D publish nope 1
    step pub -t a -m b -D publish content-type
    step pub -t a -m b -D subscribe content-type x
    step pub -t a -m b --will-payload x
    step pub -t a -m b --cert x
    step pub -t a -m b --cafile /there/is/no/such/file
    step pub -t a -m b -V 7
    step pub -t a -m b -L http://127.0.0.1/a
    step sub
    step sub -t 'a/#b'
    step sub -t a -c
    step sub -t a -R --retained-only
    step sub -t a -F '%z'
    step sub -t a -F 'a%'
    step sub -t a -F '\z'
    step sub -t a -C 0
    step sub -t a -W 0
fi
