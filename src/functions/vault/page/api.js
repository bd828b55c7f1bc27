// Requests to the vault, with the function key; and what goes wrong with them, in words.

const BASE = location.pathname.replace(/\/+$/, '');
const PATIENCE = 60_000;

class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const key = {
  inMemory: null,
  get() { try { return sessionStorage.getItem('recording-vault.key') ?? this.inMemory; } catch { return this.inMemory; } },
  set(value) { this.inMemory = value; try { sessionStorage.setItem('recording-vault.key', value); } catch { /* in memory then */ } },
  forget() { this.inMemory = null; try { sessionStorage.removeItem('recording-vault.key'); } catch { /* it was in memory */ } },
};

/** A key that came in the address is taken out of it at once: addresses end in histories, logs and mails. */
function takeKeyFromAddress() {
  const address = new URL(location.href);
  const code = address.searchParams.get('code');
  if (code === null) return;
  if (code) key.set(code);
  address.searchParams.delete('code');
  history.replaceState(history.state, '', address);
}

/** The answer's JSON. Without a right key it asks for one and goes on, unless `quiet`: then it fails. */
async function request(path, { method = 'GET', body, signal, quiet = false } = {}) {
  for (;;) {
    const used = key.get();
    const response = await send(path, method, body, signal, used);
    if (response.status !== 401) return read(response);
    const given = !quiet && await askForKey(used);
    if (!given) throw new ApiError(401, 'KeyNeeded', used ? 'The host refuses the function key.' : 'The host asks for a function key.');
  }
}

async function send(path, method, body, signal, used) {
  const headers = { accept: 'application/json' };
  if (used) headers['x-functions-key'] = used;
  if (body) headers['content-type'] = 'application/json';
  const signals = [AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])];
  try {
    return await fetch(`${BASE}/${path}`, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(signals), cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    const late = error.name === 'TimeoutError';
    throw new ApiError(0, 'Unreachable', late ? 'The vault did not answer within a minute.' : 'The vault cannot be reached. Is the network there, and is the Function App running?');
  }
}

async function read(response) {
  let answer = null;
  try { answer = await response.json(); } catch { /* told below */ }
  if (response.ok && answer !== null) return answer;
  const { code = `Http${response.status}`, message } = answer?.error ?? {};
  throw new ApiError(response.status, code, message ?? inWords(response.status));
}

function inWords(code) {
  if (code === 200) return 'The answer is not what this page expects. Reload the page.';
  if (code === 403) return 'The host does not let you do this.';
  if (code === 404) return 'The host knows no such address. Is the function Vault switched on?';
  if (code === 429) return 'Too many requests. Wait a little.';
  if (code >= 500) return `The Function App answered with an error (${code}). Its log tells more.`;
  return `The host answered ${code}.`;
}

const wasCancelled = (error) => error?.name === 'AbortError';
const parameters = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
const recordingPath = (id) => `recordings/${encodeURIComponent(id)}`;
const chunkPath = (id) => `chunks/${encodeURIComponent(id)}`;

/** Media cannot be asked for by a header: a ticket stands in its address for a while. */
const ticket = (documentId, signal) => request(`${chunkPath(documentId)}/ticket`, { signal });
