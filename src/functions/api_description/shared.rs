//! What all operations of the API have in common: who may call, how an error looks, and examples. Works on the document
//! alone.

use serde_json::{Map, Value, json};

/// Operations that DELETE carries out too, besides their own method.
const ALSO_DELETE: (&str, &str) = (
    "/api/recordings/{recordingId}/stop",
    "/api/recordings/{recordingId}",
);

/// Completes the document that the annotations give.
pub fn complete(document: &mut Value) {
    document["components"]["securitySchemes"] = schemes();
    add_delete(&mut document["paths"]);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, operations) in paths {
        for operation in operations.as_object_mut().into_iter().flatten() {
            complete_operation(path, operation.1);
        }
    }
}

fn schemes() -> Value {
    let bearer = |description: &str| json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description});
    json!({
        "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key", "description": "A key of the function, or a host key"},
        "functionKeyInQuery": {"type": "apiKey", "in": "query", "name": "code", "description": "The same key, in the URL"},
        "eventGridSecret": {"type": "apiKey", "in": "query", "name": "secret", "description": "The value of EVENT_GRID_SECRET"},
        "acsToken": bearer("A token that ACS issues for ACS_RESOURCE_ID"),
        "botToken": bearer("A token that the Bot Framework issues for TELEPHONY_APP_ID; or TELEPHONY_KEY as a function key"),
        "eventGridToken": bearer("A Microsoft Entra token for EVENT_GRID_AUDIENCE"),
    })
}

/// A recording is stopped by DELETE too.
fn add_delete(paths: &mut Value) {
    let (stop, recording) = ALSO_DELETE;
    let mut operation = paths[stop]["post"].clone();
    operation["operationId"] = "deleteRecording".into();
    operation["summary"] = "Ends a recording, as `POST …/stop` does; deletes no file.".into();
    paths[recording]["delete"] = operation;
}

fn complete_operation(path: &str, operation: &mut Value) {
    operation["security"] = security(path, operation["tags"][0].as_str().unwrap_or_default());
    let responses = operation["responses"].as_object_mut();
    for (status, response) in responses.into_iter().flatten() {
        if status.starts_with(['4', '5']) && response.get("content").is_some() {
            response["content"]["application/json"]["example"] = error(status);
        }
    }
    if operation["responses"].get("default").is_none() {
        operation["responses"]["default"] = json!({
            "description": "Any other error",
            "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/ErrorAnswer"},
                "example": error("503"),
            }},
        });
    }
    if let Some(example) = example_of(operation["operationId"].as_str().unwrap_or_default())
        && let Some(content) = operation["requestBody"]["content"].as_object_mut()
    {
        for body in content.values_mut() {
            body["example"] = example.clone();
        }
    }
}

/// Any one of these authorizes a caller.
fn security(path: &str, tag: &str) -> Value {
    let any_of = |schemes: &[&str]| {
        let one =
            |scheme: &&str| Value::Object(Map::from_iter([((*scheme).to_owned(), json!([]))]));
        Value::Array(schemes.iter().map(one).collect())
    };
    match (path, tag) {
        // The host asks for no key: the page is nothing without one, and a ticket is one.
        ("/api/vault" | "/api/vault/play/{ticket}" | "/api/openapi.json", _) => json!([]),
        (_, "callbacks") => any_of(&["acsToken"]),
        (_, "telephony") => any_of(&["botToken", "functionKey", "functionKeyInQuery"]),
        (_, "events") => any_of(&[
            "functionKey",
            "functionKeyInQuery",
            "eventGridSecret",
            "eventGridToken",
        ]),
        (_, _) => any_of(&["functionKey", "functionKeyInQuery"]),
    }
}

fn error(status: &str) -> Value {
    let (code, message, target) = match status {
        "400" => (
            "InvalidArgument",
            "unknown field `callId`; did you mean `serverCallId`?",
            Some("callId"),
        ),
        "401" => (
            "Unauthorized",
            "The key is missing or wrong; send it as `x-functions-key` or `code`.",
            None,
        ),
        "403" => (
            "ActionsOff",
            "Actions are off here; set OPERATOR_ACTIONS to on to allow them.",
            None,
        ),
        "404" => (
            "RecordingNotFound",
            "No such recording: neither the register nor an open chunk has this id, and the audit log does not mention it.",
            None,
        ),
        "409" => ("RecordingNotStarted", "Recording has not started", None),
        "410" => (
            "RecordingErased",
            "The recording was erased on request; nothing of it is left here.",
            None,
        ),
        "413" => (
            "PayloadTooLarge",
            "The body is larger than any request here.",
            None,
        ),
        "416" => (
            "RangeNotSatisfiable",
            "The file has 1024 bytes; the range lies outside it.",
            None,
        ),
        "422" => (
            "IdempotencyKeyReused",
            "This Idempotency-Key belongs to another start: of another call, or with another body. This start is not carried out; use a new key.",
            None,
        ),
        "429" => (
            "TooManyRequests",
            "Too many commands of this conversation wait; try again in a while.",
            None,
        ),
        _ => (
            "LedgerUnavailable",
            "The ledger or the register could not be read or written; try again.",
            None,
        ),
    };
    let mut error = json!({"code": code, "message": message});
    if let Some(target) = target {
        error["target"] = target.into();
    }
    json!({ "error": error })
}

fn example_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "startRecording" => json!({
            "serverCallId": "aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29tL2FwaS92Mi9jcC9jb252L2QxQTc",
            "recordingContentType": "audio",
            "recordingChannelType": "unmixed",
            "recordingFormatType": "wav",
            "consent": {"basis": "announcement", "givenBy": "all participants", "givenAt": "2026-03-02T10:00:00Z"},
            "startedBy": "ada@contoso.com",
        }),
        "pauseRecording" => json!({"resumeAfter": "5m"}),
        "holdRecording" => {
            json!({"case": "A-2026-17", "by": "legal", "note": "complaint of 2026-03-05"})
        }
        "releaseRecording" => json!({"case": "A-2026-17"}),
        _ => return None,
    })
}
