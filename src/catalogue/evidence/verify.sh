#!/bin/sh
# Checks this package offline. Needs a POSIX shell, sed, grep, coreutils (or BusyBox), and sha256sum (or OpenSSL).
# TIMESTAMP_CA=<file>: also checks the timestamps, with OpenSSL and the certificates of the authority in that file.
# Exit codes: 0 everything matches, 1 a tool is missing, 2 something does not match, 3 everything matches, but
# PROBLEMS.txt lists what is missing.
# Without its tools this script would call files broken that are not.
for tool in sed grep cut tr expr basename dirname; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "$tool is required" >&2
        exit 1
    fi
done

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
problem() {
    echo "$1"
    wrong=$((wrong + 1))
}

files=0
while read -r expected name; do
    files=$((files + 1))
    if [ ! -f "$name" ]; then
        problem "MISSING: $name"
    elif [ "$(digest "$name")" != "$expected" ]; then
        problem "DIFFERENT: $name is not what SHA256SUMS lists"
    fi
done <SHA256SUMS

# A receipt lists each file that it proves: its name in the vault, then its SHA-256.
receipts=0
for receipt in */*-receipt.*.json; do
    [ -f "$receipt" ] || continue
    receipts=$((receipts + 1))
    folder=$(dirname "$receipt")
    document=${receipt##*-receipt.}
    document=${document%%.*}
    pairs=$(tr '{},' '\n\n\n' <"$receipt" | sed -n \
        -e 's/^[[:space:]]*"name"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/name \1/p' \
        -e 's/^[[:space:]]*"sha256"[[:space:]]*:[[:space:]]*"\([0-9a-f]*\)".*/sha256 \1/p')
    while read -r key value; do
        case $key in
        name) name=$folder/${value##*/} ;;
        sha256)
            if [ -z "$name" ]; then
                :
            elif [ ! -f "$name" ]; then
                # PROBLEMS.txt may say so of the file, or of the document; what it says of other places is no reason.
                grep -F -e "$document" -e "$name" PROBLEMS.txt 2>/dev/null | grep -qvF ': the file of place ' ||
                    problem "MISSING: $name, which $receipt proves"
            elif [ "$(digest "$name")" != "$value" ]; then
                problem "DIFFERENT: $name is not what its receipt proves"
            fi
            name=
            ;;
        esac
    done <<END
$pairs
END
done

# Each record is in a document of the audit log.
records=0
tab=$(printf '\t')
for list in */records.txt; do
    [ -f "$list" ] || continue
    while IFS= read -r line; do
        records=$((records + 1))
        document=${line%%"$tab"*}
        if ! grep -qF -e "${line#*"$tab"}" "$document" 2>/dev/null; then
            problem "NOT IN THE LOG: a record of $list is not in $document"
        fi
    done <"$list"
done

# The SHA-256 of the document, or the checkpoint, before this one.
previous_of() {
    sed -n \
        -e 's/^{"writer":"[^"]*","sequence":[0-9]*,"previous":"\([0-9a-f]*\)".*/\1/p' \
        -e 's/^{"number":[0-9]*,"previous":"\([0-9a-f]*\)".*/\1/p' "$1"
}

# Each part of a log is a chain that ends where a checkpoint says that the log ended.
documents=0
proved=" "
if [ -f audit/segments.txt ]; then
    while read -r writer number last checkpoint; do
        before=
        while [ "$number" -le "$last" ]; do
            document=audit/$writer/$(printf '%012d' "$number").json
            documents=$((documents + 1))
            if [ ! -f "$document" ]; then
                problem "MISSING: $document"
                before=none
            else
                if [ -n "$before" ] && [ "$(previous_of "$document")" != "$before" ]; then
                    problem "BROKEN: $document does not continue the document before it"
                fi
                before=$(digest "$document")
            fi
            number=$((number + 1))
        done
        checkpoint=audit/checkpoints/$(printf '%012d' "$checkpoint").json
        end=$(sed -n "s/.*\"$writer\":{\"number\":\([0-9]*\),\"sha256\":\"\([0-9a-f]*\)\".*/\1 \2/p" "$checkpoint" 2>/dev/null)
        if [ "$end" != "$last $before" ]; then
            problem "BROKEN: the end of the log $writer differs from $checkpoint"
        fi
        proved="$proved$writer "
    done <audit/segments.txt
fi
for document in audit/*-*/*.json; do
    [ -f "$document" ] || continue
    writer=$(basename "$(dirname "$document")")
    case $proved in
    *" $writer "*) ;;
    *) problem "NOT PROVED: no checkpoint covers $document" ;;
    esac
done

checkpoints=0
before=
newest=
for checkpoint in audit/checkpoints/*.json; do
    [ -f "$checkpoint" ] || continue
    checkpoints=$((checkpoints + 1))
    number=$(basename "$checkpoint" .json)
    if [ -n "$newest" ] && [ "$(expr "$newest" + 1)" = "$(expr "$number" + 0)" ] &&
        [ "$(previous_of "$checkpoint")" != "$before" ]; then
        problem "BROKEN: $checkpoint does not continue the checkpoint before it"
    fi
    before=$(digest "$checkpoint")
    newest=$number
done

stamps=0
for stamp in audit/timestamps/*.tst; do
    [ -f "$stamp" ] || continue
    stamps=$((stamps + 1))
    [ -n "$TIMESTAMP_CA" ] || continue
    number=${stamp##*-}
    if ! openssl ts -verify -token_in -in "$stamp" -data "audit/checkpoints/${number%.tst}.json" \
        -CAfile "$TIMESTAMP_CA" >/dev/null 2>&1; then
        problem "DIFFERENT: $stamp is not a valid timestamp of its checkpoint"
    fi
done

if [ "$wrong" -gt 0 ]; then
    echo "$wrong problems in $files files and $receipts receipts."
    exit 2
fi
echo "$files files match SHA256SUMS; $receipts receipts match their files."
echo "$records records are in the audit log: $documents documents, $checkpoints checkpoints."
if [ -n "$newest" ]; then
    echo "Compare the newest checkpoint with one that was kept elsewhere: number $(expr "$newest" + 0), SHA-256 $before"
fi
if [ "$stamps" -gt 0 ] && [ -z "$TIMESTAMP_CA" ]; then
    echo "$stamps timestamps were not checked: set TIMESTAMP_CA."
fi
if [ -f PROBLEMS.txt ]; then
    echo "INCOMPLETE:"
    cat PROBLEMS.txt
    exit 3
fi
