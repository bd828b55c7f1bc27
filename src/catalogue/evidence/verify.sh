#!/bin/sh
# Checks this package offline. Needs a POSIX shell, sed, grep and sha256sum (or OpenSSL).
# Exit codes: 0 everything matches, 1 a tool is missing, 2 something does not match.
cd "$(dirname "$0")" || exit 1

if command -v sha256sum >/dev/null 2>&1; then
    digest() { sha256sum <"$1" | cut -d ' ' -f 1; }
elif command -v openssl >/dev/null 2>&1; then
    digest() { openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1; }
else
    echo "sha256sum or openssl is required" >&2
    exit 1
fi

wrong=0
files=0
while read -r expected name; do
    files=$((files + 1))
    if [ ! -f "$name" ]; then
        echo "MISSING: $name"
        wrong=$((wrong + 1))
    elif [ "$(digest "$name")" != "$expected" ]; then
        echo "DIFFERENT: $name is not what SHA256SUMS lists"
        wrong=$((wrong + 1))
    fi
done <SHA256SUMS

# A receipt lists each file that it proves: its name in the vault, then its SHA-256.
receipts=0
for receipt in */*-receipt.*.json; do
    [ -f "$receipt" ] || continue
    receipts=$((receipts + 1))
    folder=$(dirname "$receipt")
    pairs=$(tr '{},' '\n\n\n' <"$receipt" | sed -n \
        -e 's/^[[:space:]]*"name"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/name \1/p' \
        -e 's/^[[:space:]]*"sha256"[[:space:]]*:[[:space:]]*"\([0-9a-f]*\)".*/sha256 \1/p')
    name=
    while read -r key value; do
        case $key in
        name) name=$folder/${value##*/} ;;
        sha256)
            if [ -n "$name" ] && [ -f "$name" ] && [ "$(digest "$name")" != "$value" ]; then
                echo "DIFFERENT: $name is not what its receipt proves"
                wrong=$((wrong + 1))
            fi
            name=
            ;;
        esac
    done <<END
$pairs
END
done

if [ "$wrong" -gt 0 ]; then
    echo "$wrong problems in $files files and $receipts receipts."
    exit 2
fi
echo "$files files match SHA256SUMS; $receipts receipts match their files."
