// Requests to the vault, with the function key; failures in words; downloads, byte for byte.

const BASE = location.pathname.replace(/\/+$/, '');
const PATIENCE = 60_000;
/** An action may read a file from end to end. */
const LONG_PATIENCE = 600_000;

class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** The same request may succeed later, or with another key. */
  get isTransient() { return [0, 401, 408, 429].includes(this.status) || this.status >= 500; }
}

/** A text that is kept until the tab is closed. */
function keptForTheTab(name) {
  let inMemory = null;
  return {
    get() { try { return sessionStorage.getItem(name) ?? inMemory; } catch { return inMemory; } },
    set(value) { inMemory = value; try { sessionStorage.setItem(name, value); } catch { /* in memory then */ } },
    forget() { inMemory = null; try { sessionStorage.removeItem(name); } catch { /* it was in memory */ } },
  };
}

const key = keptForTheTab('recording-vault.key');

/** A key that came in the address is taken out of it at once: addresses end in histories, logs and mails. */
function takeKeyFromAddress() {
  const address = new URL(location.href);
  const code = address.searchParams.get('code');
  if (code === null) return;
  if (code) key.set(code);
  address.searchParams.delete('code');
  history.replaceState(history.state, '', address);
}

/** The answer's JSON. */
const request = async (path, options) => read(await answerTo(path, options));

/** An answer. Without a right key it asks for one and repeats the request, unless `quiet`: then it fails. */
async function answerTo(path, { method = 'GET', body, signal, rest, quiet = false } = {}) {
  for (;;) {
    const used = key.get();
    const response = await send(path, { method, body, signal, rest, used });
    if (response.status !== 401) return response;
    // The host's own 401 names no scheme: this is App Service Authentication, and no key ends it.
    if (response.headers.has('www-authenticate')) throw new ApiError(401, 'SignInNeeded', 'This vault asks you to sign in.');
    // A key that reads is not refused as a whole: to act takes a key of another function.
    if (method !== 'GET' && (await send('summary', { method: 'GET', signal, used })).ok) throw new ApiError(403, 'ReadOnlyKey', 'This key can read but not act. Use a key that is also set on the functions VaultActions and RecordingControl.');
    const given = !quiet && await askForKey(used);
    if (!given) throw new ApiError(401, 'KeyNeeded', used ? 'The host refuses the function key.' : 'The host asks for a function key.');
  }
}

/** `rest`: from which byte on, of which version of a file. */
async function send(path, { method, body, signal, rest, used }) {
  const headers = { accept: 'application/json, */*' };
  if (rest) Object.assign(headers, { range: `bytes=${rest.from}-`, 'if-range': rest.etag });
  if (used) headers['x-functions-key'] = used;
  if (operatorName.get()) headers['x-operator-name'] = encodeURIComponent(operatorName.get());
  if (body) headers['content-type'] = 'application/json';
  const patience = method === 'GET' ? PATIENCE : LONG_PATIENCE;
  // Only the answer's beginning is waited for so long; its body may be a large file.
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  const signals = [late.signal, ...(signal ? [signal] : [])];
  try {
    return await fetch(`${BASE}/${path}`, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(signals), cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'Unreachable', late.signal.aborted ? `The vault did not answer within ${span(patience)}.` : 'The vault cannot be reached. Check the network, and that the Function App runs.');
  } finally {
    clearTimeout(timer);
  }
}

/** Pieces of a download are handed to the browser in parts of this size: it may keep them on disk. */
const PART_BYTES = 16_000_000;

/** Saves a file exactly as the vault sends it, or not at all. */
async function save(path, name, { signal } = {}) {
  const address = URL.createObjectURL(await fileAt(path, name, signal));
  h('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A whole file. The app aborts a response after seven minutes; then the rest is requested, while there is progress. */
async function fileAt(path, name, signal) {
  let [parts, size, etag] = [[], 0, null];
  for (;;) {
    const before = size;
    const response = await answerTo(path, { signal, rest: size > 0 ? { from: size, etag } : null });
    if (!response.ok) await read(response);
    // Not the rest, but all of it: it is another version.
    if (response.status !== 206) [parts, size] = [[], 0];
    etag = response.headers.get('etag');
    try {
      for await (const part of partsOf(response)) {
        parts.push(part);
        size += part.size;
      }
      return new Blob(parts);
    } catch (error) {
      if (signal?.aborted) throw error;
      if (!etag || size <= before) throw new ApiError(0, 'Broken', `The download of ${name} was interrupted; nothing was saved. Start it again, or use recording-vault at a shell.`);
    }
  }
}

/** The parts of a body; also the last one before it breaks off. */
async function* partsOf(response) {
  const reader = response.body.getReader();
  let [pieces, size] = [[], 0];
  const part = () => { const blob = new Blob(pieces); [pieces, size] = [[], 0]; return blob; };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      if (size >= PART_BYTES) yield part();
    }
  } catch (error) {
    if (size > 0) yield part();
    throw error;
  }
  if (size > 0) yield part();
}

/** The same by a button; a failure is reported. */
async function download(path, name, button) {
  if (button) button.disabled = true;
  try {
    await save(path, name);
  } catch (error) {
    toastError(error);
  } finally {
    if (button) button.disabled = false;
  }
}

async function read(response) {
  let answer = null;
  try { answer = await response.json(); } catch { /* reported below */ }
  if (response.ok && answer !== null) return answer;
  const { code = `Http${response.status}`, message } = answer?.error ?? {};
  throw new ApiError(response.status, code, message ?? inWords(response.status));
}

function inWords(code) {
  if (code === 200) return 'The answer is not what this page expects. Reload the page.';
  if (code === 403) return 'The host does not let you do this.';
  if (code === 404) return 'The host has no such address. Check that the function Vault is enabled.';
  if (code === 429) return 'Too many requests. Wait a little.';
  if (code >= 500) return `The Function App answered with an error (${code}). Its log has the details.`;
  return `The host answered ${code}.`;
}

const wasCancelled = (error) => error?.name === 'AbortError';
const parameters = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
const recordingPath = (id) => `recordings/${encodeURIComponent(id)}`;
/** The functions that control a running recording are beside the vault's. */
const controlPath = (id, action) => `../recordings/${encodeURIComponent(id)}/${action}`;
const chunkPath = (id) => `chunks/${encodeURIComponent(id)}`;

/** A player sends no header: a ticket in the address opens one file for an hour. */
const ticket = (documentId, signal) => request(`${chunkPath(documentId)}/ticket`, { signal });
