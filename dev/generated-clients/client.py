"""A client of the API, generated from docs/openapi.json by openapi-python-client; the tests run it against the handler.

Usage: client.py <URL of the host> <key> <participant>, with the generated package `vault_client` on the path.
"""

import sys

from vault_client import AuthenticatedClient
from vault_client.api.vault import (
    add_hold,
    get_vault_recording,
    get_vault_summary,
    list_holds,
    list_vault_deadlines,
    list_vault_recordings,
    release_hold,
    verify_chunk,
)
from vault_client.models import ErrorAnswer, HoldToRelease, NewHold


def check(what: str, is_true: bool) -> None:
    if not is_true:
        raise SystemExit(f"not true: {what}")
    print(f"ok: {what}")


def main(url: str, key: str, person: str) -> None:
    client = AuthenticatedClient(
        base_url=url,
        token=key,
        prefix="",
        auth_header_name="x-functions-key",
    )
    summary = get_vault_summary.sync(client=client)
    check("the summary says whether actions are on", summary.actions is True)

    page = list_vault_recordings.sync(client=client, top=1)
    check("a page has a recording", page.recordings[0].status.value == "verified")
    recording_id = page.recordings[0].recording_id

    shown = get_vault_recording.sync(recording_id, client=client)
    check("a recording has its chunks", len(shown.chunk_list) == 1)
    document_id = shown.chunk_list[0].document_id

    added = add_hold.sync(client=client, body=NewHold(case="PY-1", person=person))
    check("a person is held", added.chunks == [document_id])
    holds = list_holds.sync(client=client)
    check("holds are listed with what they hold", holds.holds[0].holds_now.chunks == 1)
    body = HoldToRelease(case="PY-1", person=person)
    released = release_hold.sync(client=client, body=body)
    check("a hold is released", released.holds == [])

    verified = verify_chunk.sync(document_id, client=client)
    check("a copy is verified", verified.verified is True)

    missing = get_vault_recording.sync("nobody", client=client)
    check("an error has its schema", isinstance(missing, ErrorAnswer) and missing.error.code == "RecordingNotFound")
    wrong = list_vault_deadlines.sync_detailed(client=client, hours=0)
    check("a mistake is an error", wrong.status_code == 400)


main(*sys.argv[1:])
