// A recording exporter on Microsoft's SDKs as one would write it: the event comes by POST as the Functions host wraps it,
// and the recording's stream is handed to uploadStream (8 MiB blocks, 5 at a time). No hash, no check, no ledger.
import dns from "node:dns";
import http from "node:http";
import { CallAutomationClient } from "@azure/communication-call-automation";
import { AzureKeyCredential } from "@azure/core-auth";
import { ContainerClient } from "@azure/storage-blob";

// The SDK refuses content hosts that are not Microsoft's, so the simulator goes by such a name on this machine.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host === process.env.CONTENT_HOST ? "127.0.0.1" : host, ...rest);

const credential = new AzureKeyCredential(process.env.ACS_ACCESS_KEY);
const recordings = new CallAutomationClient(process.env.ACS_ENDPOINT, credential).getCallRecording();
const container = new ContainerClient(process.env.CONTAINER_URL);

async function copy(location, name) {
  const stream = await recordings.downloadStreaming(location);
  await container.getBlockBlobClient(name).uploadStream(stream, 8 * 1024 * 1024, 5);
}

async function exportRecording(event) {
  for (const chunk of event.data.recordingStorageInfo.recordingChunks) {
    await copy(chunk.contentLocation, `${chunk.documentId}.mp4`);
    await copy(chunk.metadataLocation, `${chunk.documentId}.json`);
  }
}

async function answer(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  if (request.method === "POST") {
    await exportRecording(JSON.parse(Buffer.concat(parts).toString()).Data.event);
  }
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
}

const failed = (response) => (error) => {
  console.error(error);
  response.writeHead(500).end();
};
http
  .createServer((request, response) => answer(request, response).catch(failed(response)))
  .listen(Number(process.env.FUNCTIONS_CUSTOMHANDLER_PORT), "127.0.0.1");
