#!/bin/sh
# Checks this package offline. Needs a POSIX shell, coreutils, grep, sed, find, and sha256sum or OpenSSL.
# TIMESTAMP_CA=<file>: also checks the timestamps, with OpenSSL and the certificates of the authority in that file.
# Exit codes: 0 everything matches, 1 the check is not possible (a tool or the certificates are missing),
# 2 something does not match, 3 everything matches, but PROBLEMS.txt lists what is missing or doubtful.
# This script came with the package. A person who changes a package can change it too: compare it with the one in the source
# of recording-vault (src/catalogue/evidence/verify.sh).
LC_ALL=C
export LC_ALL
unset CDPATH
set -f

impossible() {
    echo "$1" >&2
    exit 1
}

# Without its tools this script would call files broken that are not.
for tool in sed grep find sort comm join cut tr wc cat rm dirname mktemp; do
    command -v "$tool" >/dev/null 2>&1 || impossible "$tool is required"
done

# A relative path is relative to the folder of the caller.
authority=${TIMESTAMP_CA:-}
case $authority in
'' | /*) ;;
*) authority=$PWD/$authority ;;
esac
if [ -n "$authority" ]; then
    command -v openssl >/dev/null 2>&1 || impossible "openssl is required to check timestamps"
    openssl x509 -in "$authority" -noout >/dev/null 2>&1 ||
        impossible "TIMESTAMP_CA: $authority is not readable, or has no certificate"
fi
cd -- "$(dirname -- "$0")" || exit 1

if command -v sha256sum >/dev/null 2>&1; then
    hash_tool=sha256sum
elif command -v openssl >/dev/null 2>&1; then
    hash_tool="openssl dgst -sha256 -r"
else
    impossible "sha256sum or openssl is required"
fi
work=$(mktemp -d) || impossible "a temporary folder is required"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for list in problems found named hashed logged listed stamped digests subjects; do
    : >"$work/$list"
done

problem() {
    echo "$1"
    echo "$1" >>"$work/problems"
}

# counted <number> <singular> <plural>
counted() {
    if [ "$1" -eq 1 ]; then echo "1 $2"; else echo "$1 $3"; fi
}

lines_of() {
    wc -l <"$1" | tr -d ' '
}

# Whether a plain file of this name is in the package.
is_here() {
    grep -qxF -e "$1" "$work/names"
}

# Whether PROBLEMS.txt says this.
is_reported() {
    is_here PROBLEMS.txt && grep -qF -e "$1" PROBLEMS.txt
}

# 000000000042 -> 42, in $number.
number_in() {
    number=${1#"${1%%[!0]*}"}
    number=${number:-0}
}

### Files: each is a plain one, is in SHA256SUMS, and has the SHA-256 there.
if [ -h SHA256SUMS ] || [ ! -f SHA256SUMS ] || [ ! -s SHA256SUMS ]; then
    echo "MISSING: SHA256SUMS is missing or empty"
    exit 2
fi
find . ! -type f ! -type d >"$work/other"
while read -r name; do
    problem "NOT A PLAIN FILE: $name"
done <"$work/other"
find . -name '*[!A-Za-z0-9._-]*' -prune >"$work/other"
while read -r name; do
    problem "UNKNOWN: no file of a package has such a name: $name"
done <"$work/other"
# <name> <SHA-256>
# shellcheck disable=SC2086 # the tool has arguments
find . -name '*[!A-Za-z0-9._-]*' -prune -o -type f -exec $hash_tool {} + |
    sed -n 's/^\([0-9a-f]\{64\}\) [ *]\.\/\(.*\)$/\2 \1/p' | sort >"$work/found"
cut -d ' ' -f 1 "$work/found" >"$work/names"

line='^[0-9a-f]{64}  [A-Za-z0-9_][A-Za-z0-9._/-]*$'
grep -Ev -e "$line" SHA256SUMS >"$work/other"
while read -r text; do
    problem "UNREADABLE: a line of SHA256SUMS: $text"
done <"$work/other"
grep -E -e "$line" SHA256SUMS | sed 's/^\([0-9a-f]*\)  \(.*\)$/\2 \1/' | sort >"$work/sums"
comm -23 "$work/sums" "$work/found" >"$work/other"
while read -r name digest; do
    if is_here "$name"; then
        problem "DIFFERENT: $name is not what SHA256SUMS lists"
    else
        problem "MISSING: $name"
    fi
done <"$work/other"
cut -d ' ' -f 1 "$work/sums" | sort -u | comm -13 - "$work/names" | grep -vx SHA256SUMS >"$work/other"
while read -r name; do
    problem "NOT LISTED: $name is not in SHA256SUMS"
done <"$work/other"
log='audit/[0-9]{14}-[0-9a-f]{32}/[0-9]{12}\.json'
of_audit="audit/segments\\.txt|$log|audit/checkpoints/[0-9]{12}\\.json|audit/timestamps/[0-9]{8}-[0-9]{12}\\.tst"
of_folder='[0-9]{4,}/[A-Za-z0-9._-]+'
grep -Evx -e "SHA256SUMS|PROBLEMS\\.txt|index\\.html|verify\\.sh|$of_audit|$of_folder" "$work/names" >"$work/other"
while read -r name; do
    problem "UNKNOWN: $name is no file of a package"
done <"$work/other"
sed -n 's/^\([0-9]*\)\/.*/\1/p' "$work/names" | sort -u >"$work/folders"
while read -r folder; do
    for name in recording.json history.json records.txt; do
        is_here "$folder/$name" || problem "MISSING: $folder/$name"
    done
done <"$work/folders"

### Audit log: each part of a log is a chain of documents that ends where a checkpoint says that the log ended.
# <name> <SHA-256> <writer>/<sequence> <SHA-256 of the document before>
grep -E -e "^$log " "$work/found" >"$work/files"
find ./audit -type f -name '*.json' -exec grep -Ho -e '^{"writer":"[^"]*","sequence":[0-9]*,"previous":"[0-9a-f]*"' {} + 2>/dev/null |
    sed -n 's/^\.\/\([^:]*\):{"writer":"\([^"]*\)","sequence":\([0-9]*\),"previous":"\([0-9a-f]*\)"$/\1 \2\/\3 \4/p' |
    sort >"$work/heads"
join -a 1 -e - -o 0,1.2,2.2,2.3 "$work/files" "$work/heads" >"$work/documents"
segment='^[0-9]{14}-[0-9a-f]{32} [1-9][0-9]{0,11} [1-9][0-9]{0,11} [1-9][0-9]{0,11}$'
if is_here audit/segments.txt; then
    grep -Ev -e "$segment" audit/segments.txt >"$work/other"
    while read -r text; do
        problem "UNREADABLE: a line of audit/segments.txt: $text"
    done <"$work/other"
    grep -E -e "$segment" audit/segments.txt >"$work/segments"
else
    : >"$work/segments"
fi
while read -r writer first last checkpoint; do
    reached=$((first - 1))
    before=
    grep -e "^audit/$writer/" "$work/documents" >"$work/part"
    while read -r document digest said previous; do
        number=${document##*/}
        number_in "${number%.json}"
        if [ "$number" -lt "$first" ] || [ "$number" -gt "$last" ]; then
            continue
        fi
        if [ "$number" -ne $((reached + 1)) ]; then
            problem "MISSING: documents of the log $writer between $reached and $number"
        elif [ -n "$before" ] && [ "$previous" != "$before" ]; then
            problem "BROKEN: $document does not continue the document before it"
        fi
        [ "$said" = "$writer/$number" ] || problem "BROKEN: $document does not say that it is document $number of its log"
        echo "$document $checkpoint" >>"$work/hashed"
        reached=$number
        before=$digest
    done <"$work/part"
    [ "$reached" -eq "$last" ] || problem "MISSING: documents of the log $writer after $reached, up to $last"
    checkpoint=audit/checkpoints/$(printf '%012d' "$checkpoint").json
    end=
    if is_here "$checkpoint"; then
        end=$(sed -n "s/.*\"$writer\":{\"number\":\([0-9]*\),\"sha256\":\"\([0-9a-f]*\)\".*/\1 \2/p" "$checkpoint")
    fi
    [ "$end" = "$last $before" ] || problem "BROKEN: the end of the log $writer differs from $checkpoint"
done <"$work/segments"
cut -d ' ' -f 1 "$work/hashed" | sort -u >"$work/proved"
cut -d ' ' -f 1 "$work/files" | comm -13 "$work/proved" - >"$work/other"
while read -r document; do
    problem "NOT PROVED: no checkpoint covers $document"
done <"$work/other"

### Records: each is in the document that records.txt names, and that a checkpoint covers.
tab=$(printf '\t')
while read -r document; do
    sed -n '/^{"writer":"[^"]*","sequence":[0-9]*,"previous":"[0-9a-f]*","at":"[^"]*","records":\[/{
s///
s/\]}$//
s/},\({"at":"[^"]*","actor":"\)/}\
\1/g
p
}' "$document" | grep . | sed "s|^|$document$tab|"
done <"$work/proved" >"$work/logged"
sort -u -o "$work/logged" "$work/logged"
while read -r folder; do
    is_here "$folder/records.txt" || continue
    sort "$folder/records.txt" >>"$work/listed"
    sort -u "$folder/records.txt" | comm -23 - "$work/logged" >"$work/other"
    while IFS= read -r record; do
        problem "NOT IN THE LOG: a record of $folder/records.txt is not in ${record%%"$tab"*}, or nothing proves that document"
    done <"$work/other"
    grep -F -e '"action":"recorded"' "$folder/records.txt" | grep -o -e '"recordingId":"[^"]*"' >>"$work/subjects"
    is_here "$folder/recording.json" || continue
    sed -n 's/^  "recordingId": \("[^"]*"\),*$/"recordingId":\1/p' "$folder/recording.json" >>"$work/subjects"
done <"$work/folders"
records=$(lines_of "$work/listed")
sort -u -o "$work/listed" "$work/listed"

### Receipts: each names files and their SHA-256, the files are here, and a record of the log has the same SHA-256.
file='\{"name":"([^"]+)","sizeBytes":[0-9]+,"sha256":"([0-9a-f]{64})","etag":"([^"\\]|\\.)*"\}'
receipt_pattern='[0-9]{4,}/[0-9]+-receipt\.[A-Za-z0-9_-]+(\.[0-9]+)?\.json'
grep -Ex -e "$receipt_pattern" "$work/names" >"$work/receipts"
# The files of a receipt: <name> <SHA-256>
files_of() {
    tr -d ' \t\r\n' <"$1" |
        sed -En 's/^\{"receipt":\{"media":'"$file"',"metadata":(null|'"$file"'),.*/\1 \2\
\5 \6/p' | grep .
}
while read -r receipt; do
    folder=${receipt%/*}
    document=${receipt##*-receipt.}
    document=${document%%.*}
    echo "\"subject\":\"$document\"" >>"$work/digests"
    files_of "$receipt" >"$work/part"
    [ -s "$work/part" ] || problem "UNREADABLE: $receipt does not name a file and its SHA-256"
    while read -r name digest; do
        [ -n "$digest" ] || continue
        name=$folder/${name##*/}
        echo "$name" >>"$work/named"
        if is_here "$name"; then
            grep -qxF -e "$name $digest" "$work/found" || problem "DIFFERENT: $name is not what its receipt proves"
        else
            is_reported "SHA-256 $digest is not in this package" || problem "MISSING: $name, which $receipt proves"
        fi
        if ! grep -F -e "\"subject\":\"$document\"" "$folder/records.txt" 2>/dev/null | grep -qE -e "\"(sha256|metadataSha256)\":\"$digest\""; then
            is_reported "no proved record of the audit log has SHA-256 $digest" ||
                problem "NOT PROVED: no record of $folder/records.txt has the SHA-256 of $name, which $receipt names"
        fi
    done <"$work/part"
done <"$work/receipts"
sort -u -o "$work/named" "$work/named"
grep -Ex -e "$of_folder" "$work/names" | grep -Ev -e '/(recording\.json|history\.json|records\.txt)$' |
    grep -Evx -e "$receipt_pattern" | comm -23 - "$work/named" >"$work/other"
while read -r name; do
    problem "NOT PROVED: no receipt names $name"
done <"$work/other"

# Each copy that a record names is here.
while read -r folder; do
    is_here "$folder/records.txt" || continue
    grep -E -e '"action":"(exported|sourceDeleted|sourceLeft|otherFileExported)"' "$folder/records.txt" |
        grep -oE -e '"(sha256|metadataSha256)":"[0-9a-f]{64}"' | cut -d '"' -f 4 | sort -u >"$work/part"
    while read -r digest; do
        grep -qE -e "^$folder/[^ ]* $digest\$" "$work/found" || is_reported "SHA-256 $digest is not in this package" ||
            problem "MISSING: the file with SHA-256 $digest, which a record of $folder/records.txt names"
    done <"$work/part"
done <"$work/folders"

# Each record of these recordings' chunks that the package's documents of the log have is in a records.txt.
sort -u -o "$work/subjects" "$work/subjects"
grep -F -e '"action":"recorded"' "$work/logged" | grep -Ff "$work/subjects" | grep -o -e '"subject":"[^"]*"' >>"$work/digests"
sort -u -o "$work/digests" "$work/digests"
grep -Ff "$work/digests" "$work/logged" | comm -23 - "$work/listed" >"$work/other"
while IFS= read -r record; do
    problem "LEFT OUT: a record of ${record%%"$tab"*} is in no records.txt"
done <"$work/other"

### Timestamps, and the chain of checkpoints.
grep -e '^audit/timestamps/' "$work/names" >"$work/stamps"
stamps=$(lines_of "$work/stamps")
stamp_of_newest=
if [ -n "$authority" ]; then
    while read -r stamp; do
        checkpoint=${stamp##*-}
        checkpoint=${checkpoint%.tst}
        if openssl ts -verify -token_in -in "$stamp" -data "audit/checkpoints/$checkpoint.json" \
            -CAfile "$authority" >/dev/null 2>&1; then
            number_in "$checkpoint"
            echo "$number" >>"$work/stamped"
            stamp_of_newest=$stamp
        else
            problem "DIFFERENT: $stamp is not a valid timestamp of its checkpoint"
        fi
    done <"$work/stamps"
fi
grep -e '^audit/checkpoints/' "$work/found" >"$work/files"
# <name> <SHA-256> <number> <SHA-256 of the checkpoint before>
find ./audit/checkpoints -type f -exec grep -Ho -e '^{"number":[0-9]*,"previous":"[0-9a-f]*"' {} + 2>/dev/null |
    sed -n 's/^\.\/\([^:]*\):{"number":\([0-9]*\),"previous":"\([0-9a-f]*\)"$/\1 \2 \3/p' | sort >"$work/heads"
join -a 1 -e - -o 0,1.2,2.2,2.3 "$work/files" "$work/heads" >"$work/checkpoints"
newest=
before=
while read -r checkpoint digest said previous; do
    number=${checkpoint#audit/checkpoints/}
    number_in "${number%.json}"
    [ "$said" = "$number" ] || problem "BROKEN: $checkpoint does not say that it is checkpoint $number"
    if [ -z "$newest" ]; then
        :
    elif [ "$number" -ne $((newest + 1)) ]; then
        # What the checkpoints before a gap prove is proved by a timestamp, or by nothing.
        if grep -qx -e "$newest" "$work/stamped"; then
            echo "Checkpoints $((newest + 1)) to $((number - 1)) are not here: the timestamp of checkpoint $newest proves those before."
        else
            problem "NOT PROVED: checkpoints $((newest + 1)) to $((number - 1)) are not here, so nothing leads from checkpoint $newest to the newest one"
        fi
    elif [ "$previous" != "$before" ]; then
        problem "BROKEN: $checkpoint does not continue the checkpoint before it"
    fi
    newest=$number
    before=$digest
done <"$work/checkpoints"

### Result.
wrong=$(lines_of "$work/problems")
files=$(lines_of "$work/sums")
receipts=$(lines_of "$work/receipts")
if [ "$wrong" -gt 0 ]; then
    echo "$(counted "$wrong" problem problems) in $(counted "$files" file files) and $(counted "$receipts" receipt receipts)."
    exit 2
fi
echo "$(counted "$files" "file matches" "files match") SHA256SUMS; $(counted "$receipts" "receipt matches its files and the audit log" "receipts match their files and the audit log")."
echo "$(counted "$records" "record is" "records are") in the audit log: $(counted "$(lines_of "$work/proved")" document documents), $(counted "$(lines_of "$work/checkpoints")" checkpoint checkpoints)."
if [ "$stamps" -eq 0 ]; then
    echo "No timestamp covers these records."
elif [ -z "$authority" ]; then
    echo "$(counted "$stamps" "timestamp was" "timestamps were") not checked: set TIMESTAMP_CA."
else
    number=${stamp_of_newest##*-}
    number_in "${number%.tst}"
    made=$(openssl ts -reply -token_in -in "$stamp_of_newest" -token_out -text 2>/dev/null | sed -n 's/^Time stamp: //p')
    while read -r document checkpoint; do
        [ "$checkpoint" -gt "$number" ] || echo "$document"
    done <"$work/hashed" >"$work/part"
    covered=$(cut -f 1 "$work/listed" | grep -cxFf "$work/part")
    echo "$(counted "$stamps" "timestamp is" "timestamps are") valid, the newest of checkpoint $number at $made: it covers $covered of $(counted "$records" record records)."
fi
if [ -n "$newest" ]; then
    echo "Compare the newest checkpoint with one that was kept elsewhere: number $newest, SHA-256 $before"
fi
echo "Not in the audit log: recording.json, history.json, index.html, PROBLEMS.txt, and what receipts say beside the SHA-256 of their files."
echo "They rest on SHA256SUMS, which is not signed. Compare it with the SHA-256 that was noted when the package was made: $($hash_tool SHA256SUMS | cut -d ' ' -f 1)"
if is_here PROBLEMS.txt; then
    echo "INCOMPLETE OR DOUBTFUL:"
    cat PROBLEMS.txt
    exit 3
fi
