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
async function answerTo(path, { method = 'GET', body, signal, quiet = false } = {}) {
  for (;;) {
    const used = key.get();
    const response = await send(path, { method, body, signal, used });
    if (response.status !== 401) return response;
    // A key that reads is not refused as a whole: to act takes a key of another function.
    if (method !== 'GET' && (await send('summary', { method: 'GET', signal, used })).ok) throw new ApiError(403, 'ReadOnlyKey', 'This key can read but not act. Use a key that is also set on the functions VaultActions and RecordingControl.');
    const given = !quiet && await askForKey(used);
    if (!given) throw new ApiError(401, 'KeyNeeded', used ? 'The host refuses the function key.' : 'The host asks for a function key.');
  }
}

async function send(path, { method, body, signal, used }) {
  const headers = { accept: 'application/json, */*' };
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

/** Saves a file exactly as the vault sends it. What breaks off is not saved, and can be started again. */
async function save(path, name, { signal } = {}) {
  const response = await answerTo(path, { signal });
  if (!response.ok) await read(response);
  const bytes = await response.blob().catch((error) => {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'Broken', `The download of ${name} was interrupted; nothing was saved. Start it again.`);
  });
  const address = URL.createObjectURL(bytes);
  h('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
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
