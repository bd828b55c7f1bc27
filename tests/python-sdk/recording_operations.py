"""Runs every recording operation of the official, unmodified Azure SDK for Python against the ACS simulator.

    recording_operations.py ENDPOINT ACCESS_KEY CA_FILE ADMIN_URL

ENDPOINT is the simulator's TLS door, ADMIN_URL its plain one. The SDK downloads only from hosts of ACS's recording
storage, so such names are resolved to this machine here. Ends with status 0 if every operation did what it should.
"""

import hashlib
import json
import socket
import sys
import urllib.request

endpoint, access_key, ca_file, admin_url = sys.argv[1:]
resolve = socket.getaddrinfo


def resolve_here(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    return resolve("127.0.0.1" if name and name.endswith(".asm.skype.com") else host, *args, **kwargs)


socket.getaddrinfo = resolve_here

from azure.communication.callautomation import CallAutomationClient, ServerCallLocator  # noqa: E402
from azure.core.credentials import AzureKeyCredential  # noqa: E402
from azure.core.exceptions import HttpResponseError  # noqa: E402


def admin(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(admin_url + path, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def expect(what, actual, expected):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"
    print(f"ok: {what}")


def expect_error(what, call, status, code=None):
    try:
        call()
    except HttpResponseError as error:
        expect(what, error.status_code, status)
        if code is not None:
            expect(f"{what} (code)", error.error.code, code)
        return
    raise AssertionError(f"{what}: no error, expected {status}")


options = {"connection_verify": ca_file, "retry_total": 0}
client = CallAutomationClient(endpoint, AzureKeyCredential(access_key), **options)
stranger = CallAutomationClient(endpoint, AzureKeyCredential("c29tZWJvZHkgZWxzZQ=="), **options)


def state(recording_id):
    return client.get_recording_properties(recording_id).recording_state


call = admin("POST", "/admin/calls", {})
locator = ServerCallLocator(call["serverCallId"])
expect_error("start of an unknown call", lambda: client.start_recording(call_locator=ServerCallLocator("x")), 400, "8501")
expect_error(
    "start with a combination that is not offered",
    lambda: client.start_recording(call_locator=locator, recording_content_type="audioVideo", recording_format_type="wav"),
    400,
    "8523",
)
started = client.start_recording(
    call_locator=locator, recording_content_type="audio", recording_channel_type="mixed", recording_format_type="wav"
)
recording_id = started.recording_id
expect("start", (bool(recording_id), started.recording_kind), (True, "azureCommunicationServices"))
expect("state after the start", state(recording_id), "active")
expect_error("start of a call that is recorded already", lambda: client.start_recording(call_locator=locator), 400, "8553")
client.pause_recording(recording_id)
expect("state while paused", state(recording_id), "inactive")
client.resume_recording(recording_id)
expect("state after the resume", state(recording_id), "active")
client.stop_recording(recording_id)
expect_error("state after the stop", lambda: state(recording_id), 404, "8522")
expect_error("a wrong key", lambda: stranger.get_recording_properties("x"), 401, "7509")

event = admin("POST", "/admin/recordings", {"format": "wav", "call": {"chunks": [{"durationMs": 4000}]}})
chunk = event["data"]["recordingStorageInfo"]["recordingChunks"][0]
stored = next(o for o in admin("GET", "/admin/objects") if o["documentId"] == chunk["documentId"])


def download(location, **kwargs):
    return b"".join(client.download_recording(location, **kwargs).iter_bytes())


whole = download(chunk["contentLocation"])
expect("download", hashlib.sha256(whole).hexdigest(), stored["sha256"])
expect("download of a range", download(chunk["contentLocation"], offset=1000, length=500), whole[1000:1500])
expect("download from an offset", download(chunk["contentLocation"], offset=100000), whole[100000:])
metadata = json.loads(download(chunk["metadataLocation"]))
expect("metadata", metadata["chunkDocumentId"], chunk["documentId"])
expect_error("download with a wrong key", lambda: stranger.download_recording(chunk["contentLocation"]), 401)
expect_error("a range beyond the end", lambda: download(chunk["contentLocation"], offset=1 << 40, length=1), 416)
client.delete_recording(chunk["deleteLocation"])
expect_error("download of what was deleted", lambda: client.download_recording(chunk["contentLocation"]), 404)
expect_error("deletion of what was deleted", lambda: client.delete_recording(chunk["deleteLocation"]), 404)
