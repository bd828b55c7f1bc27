// A client of the API, generated from docs/openapi.json. `tsc` checks its types, and the tests run it against the handler.
// Usage: node client.js <URL of the host> <key> <participant>

import createClient from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

declare const process: { argv: string[] };

const [url, key, person] = process.argv.slice(2);
if (url === undefined || key === undefined || person === undefined) {
  throw new Error("usage: client.js <URL> <key> <participant>");
}
const client = createClient<paths>({ baseUrl: url, headers: { "x-functions-key": key } });

function check(what: string, isTrue: boolean): void {
  if (!isTrue) {
    throw new Error(`not true: ${what}`);
  }
  console.log(`ok: ${what}`);
}

const summary = await client.GET("/api/vault/summary");
check("the summary says whether actions are on", summary.data?.actions === true);

const page = await client.GET("/api/vault/recordings", { params: { query: { top: 1 } } });
const row = page.data?.recordings[0];
check("a page has a recording", row !== undefined && row.status === "verified");
const recordingId: string = row?.recordingId ?? "";

const shown = await client.GET("/api/vault/recordings/{recordingId}", {
  params: { path: { recordingId } },
});
const chunk = shown.data?.chunkList[0];
check("a recording has its chunks", chunk !== undefined && chunk.documentId.length > 0);
check("a recording has its participants", shown.data?.participantList.some((one) => one.id === person) === true);

const documentId: string = chunk?.documentId ?? "";
const media = await client.GET("/api/vault/chunks/{documentId}/media", {
  params: { path: { documentId } },
  parseAs: "arrayBuffer",
});
check("media is bytes", media.response.status === 200);

const hold: components["schemas"]["NewHold"] = { case: "TS-1", person };
const added = await client.POST("/api/vault/holds", { body: hold });
check("a person is held", added.data?.chunks.includes(documentId) === true);
const holds = await client.GET("/api/vault/holds");
check("holds are listed with what they hold", holds.data?.holds[0]?.holdsNow.chunks === 1);
const released = await client.POST("/api/vault/holds/release", { body: { case: "TS-1", person } });
check("a hold is released", released.data?.holds.length === 0);

const verified = await client.POST("/api/vault/chunks/{documentId}/verify", {
  params: { path: { documentId } },
});
check("a copy is verified", verified.data?.verified === true);

const missing = await client.GET("/api/vault/recordings/{recordingId}", {
  params: { path: { recordingId: "nobody" } },
});
check("an error has its schema", missing.error?.error.code === "RecordingNotFound");

const wrong = await client.GET("/api/vault/deadlines", { params: { query: { hours: 0 } } });
check("a mistake is an error", wrong.response.status === 400 && (wrong.error?.error.message.length ?? 0) > 0);
