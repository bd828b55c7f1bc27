// Recordings that are selected in the list, and what is done with all of them: hold, retry, verify, CSV. ZIPs: packages.js

/** Recordings that are worked on at once. */
const AT_ONCE = 3;
/** Failures that are named; of more the others are counted. */
const FAILURES_NAMED = 100;
/** `work`: the action that runs; it has its own rows, so another list does not end it. `outcome`: what it did, until that is dismissed. */
const selection = { rows: new Map(), work: null, outcome: null };

function selectionBar() {
  return h('div', { class: 'selection', id: 'selection', role: 'region', 'aria-label': 'Selected recordings', hidden: true },
    h('b', { id: 'selected-count', role: 'status' }),
    h('div', { class: 'selection-tools', id: 'selection-tools' }),
    h('div', { id: 'selection-outcome' }));
}

function updateSelection() {
  const count = selection.rows.size;
  const isBusy = selection.work !== null;
  $('selection').hidden = count === 0 && !isBusy && !selection.outcome;
  say($('selected-count'), count > 0 ? `${number(count)} selected` : '');
  const isStopping = isBusy && selection.work.signal.aborted;
  replace($('selection-tools'), isBusy
    ? button(isStopping ? 'Stopping …' : 'Stop', stopWork, { focus: 'stop', disabled: isStopping })
    : count === 0 ? button('Dismiss the result', dismissOutcome, { kind: 'quiet', focus: 'clear all' })
    : [canAct() && [button('Hold', holdSelected, { picture: 'lock', focus: 'hold all' }), button('Retry', retrySelected, { picture: 'refresh', focus: 'retry all' }), button('Verify', verifySelected, { picture: 'check', focus: 'verify all' })],
      button('ZIP', downloadSelected, { picture: 'down', focus: 'zip' }), button('CSV', saveCsv, { picture: 'down', focus: 'csv' }), button('Clear selection', clearSelection, { kind: 'quiet', focus: 'clear all' })]);
  const all = $('select-all');
  all.disabled = list.rows.length === 0;
  all.checked = count > 0 && count === list.rows.length;
  all.indeterminate = count > 0 && !all.checked;
  noticeSelection();
}

/** Starts nothing more. Requests that change something are waited for: what a request did that was cut off is not known. */
function stopWork() {
  selection.work.abort();
  updateSelection();
}

/** Says on the other views that an action runs, or that it did not do everything. */
function noticeSelection() {
  const { work, outcome } = selection;
  const says = work ? 'an action on them is running.' : outcome?.isBad ? outcome.text : '';
  const text = says && current !== 'recordings' && !isLocked ? `Selected recordings: ${says}` : '';
  notice('selection', text, h('a', { class: 'button', href: `#/recordings${list.filters ? `?${list.filters}` : ''}` }, 'Show'), !work && button('Dismiss', dismissOutcome));
}

/** The action has ended. What it did stays until it is dismissed, and is reported on the other views too. */
function keepOutcome(text, isBad) {
  Object.assign(selection, { work: null, outcome: { text, isBad } });
  updateSelection();
  if (current !== 'recordings' && !isLocked) toast(`Selected recordings: ${text}`, isBad ? 'bad' : 'good');
}

function dismissOutcome() {
  selection.outcome = null;
  replace($('selection-outcome'));
  updateSelection();
}

/** Another list is shown. An action that runs continues, and its outcome stays. */
function forgetSelected() {
  selection.rows.clear();
  for (const box of $('pages').querySelectorAll('input:checked')) box.checked = false;
  updateSelection();
}

function clearSelection() {
  forgetSelected();
  dismissOutcome();
}

function selectAll(isSelected) {
  selection.rows.clear();
  if (isSelected) list.rows.forEach((recording) => selection.rows.set(recording.recordingId, recording));
  for (const box of $('pages').querySelectorAll('input[type=checkbox]')) box.checked = isSelected;
  updateSelection();
}

function selectRow({ target }) {
  const recording = list.rows[Number(target.dataset.select)];
  if (!recording) return;
  if (target.checked) selection.rows.set(recording.recordingId, recording);
  else selection.rows.delete(recording.recordingId);
  updateSelection();
}

/** Does the same with each selected recording, a few at once; `each` returns why it did nothing, or nothing. `done` names what was done, or returns that name. It passes the signal on to requests that record nothing. */
async function withSelected(done, each) {
  const rows = [...selection.rows.values()];
  const work = new AbortController();
  const outcome = { done: 0, skipped: [], failed: [], left: new Map(rows.map((recording) => [recording, 'not done'])) };
  const waiting = rows.values();
  Object.assign(selection, { work, outcome: null });
  showOutcome(done, outcome, rows.length, true);
  updateSelection();
  const one = async () => {
    for (const recording of waiting) {
      if (work.signal.aborted) return;
      try {
        const skipped = await each(recording, work.signal);
        if (skipped) outcome.skipped.push([recording, skipped]);
        else outcome.done += 1;
      } catch (error) {
        if (wasCancelled(error)) {
          if (error.partly) outcome.left.set(recording, error.partly);
          return;
        }
        outcome.failed.push([recording, error.message]);
      }
      outcome.left.delete(recording);
      showOutcome(done, outcome, rows.length, true);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const { text, isBad } = showOutcome(done, outcome, rows.length, false);
  keepOutcome(text, isBad);
  return outcome;
}

/** Shows how far an action is, or what it did; returns that as a text, and whether something was not done. */
function showOutcome(done, outcome, total, isBusy) {
  const { skipped, failed, left } = outcome;
  const parts = [`${number(outcome.done)} ${typeof done === 'function' ? done() : done}`, skipped.length > 0 && `${number(skipped.length)} skipped`, failed.length > 0 && `${number(failed.length)} failed`, !isBusy && left.size > 0 && `${number(left.size)} not done`];
  const isBad = failed.length > 0 || (!isBusy && left.size > 0);
  const text = `${parts.filter(Boolean).join(', ')}${isBusy ? ` of ${number(total)}` : '.'}`;
  const named = [...failed, ...left, ...skipped];
  const lines = !isBusy && named.length > 0 && h('details', { open: isBad }, h('summary', null, 'Which'),
    h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'Recordings that failed, were skipped or not done' }, h('ul', null, named.slice(0, FAILURES_NAMED).map(([recording, why]) => h('li', null, h('a', { href: `#/${recordingPath(recording.recordingId)}` }, nameOf(recording)), `: ${why}`)), named.length > FAILURES_NAMED && h('li', null, `and ${number(named.length - FAILURES_NAMED)} more`))));
  replace($('selection-outcome'), isBusy && h('progress', { value: total - left.size, max: total, 'aria-label': 'Progress' }), h('p', { class: isBad ? 'bad-text' : null, role: isBad && !isBusy ? 'alert' : null }, text), lines);
  return { text, isBad };
}

/** Does the same with each of these files, one after the other. Once the action is stopped, none is begun. */
async function withFiles(files, signal, each) {
  for (const [before, file] of files.entries()) {
    if (signal.aborted) throw Object.assign(new DOMException('The action was stopped.', 'AbortError'), { partly: before > 0 && `stopped after ${number(before)} of ${plural(files.length, 'file')}` });
    await each(file);
  }
}

const selectedText = () => plural(selection.rows.size, 'selected recording');

async function holdSelected() {
  const question = { title: `Hold ${selectedText()}?`, text: 'They are deleted neither at ACS nor in the vault until every case is released.', go: 'Hold', fields: holdFields() };
  const values = await ask(question);
  if (!values) return;
  const { failed, left, done } = await withSelected('held', async (recording) => { await request(`${recordingPath(recording.recordingId)}/hold`, { method: 'POST', body: values }); });
  if (failed.length + left.size === 0 && done > 0) drafts.delete(draftOf(question));
}

async function retrySelected() {
  if (!await ask({ title: `Retry ${selectedText()}?`, text: 'Files that are not in the vault are exported again with the next sweep. Nothing is deleted.', go: 'Retry' })) return;
  withSelected('opened for another export', async ({ recordingId }, signal) => {
    const recording = await request(recordingPath(recordingId), { signal });
    const open = recording.chunkList.filter((chunk) => isWorthARetry(recording, chunk));
    await withFiles(open, signal, ({ documentId }) => request(`${chunkPath(documentId)}/retry`, { method: 'POST' }));
    return open.length === 0 && 'no file waits for its export or was given up; other forms of a file were not looked at';
  });
}

async function verifySelected() {
  const size = [...selection.rows.values()].reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  if (!await ask({ title: `Verify ${selectedText()}?`, text: verifyText(size), go: 'Verify' })) return;
  let isRead = true;
  const done = () => (isRead ? 'verified, with their content' : 'verified by length, ETag and blocks, without reading the content');
  withSelected(done, async ({ recordingId }, signal) => {
    const { chunkList } = await request(recordingPath(recordingId), { signal });
    const proved = chunkList.filter(({ sha256, state }) => sha256 && !['removing', 'removed'].includes(state));
    await withFiles(proved, signal, async ({ documentId, index }) => {
      // What it finds is recorded: it is waited for.
      const { verified, compared, problem } = await request(`${chunkPath(documentId)}/verify`, { method: 'POST' });
      if (!verified) throw new Error(`chunk ${index}: ${problem}`);
      isRead &&= compared === 'content';
    });
    return proved.length < chunkList.length || proved.length === 0 ? `${number(proved.length)} of ${plural(chunkList.length, 'file')} are in the vault` : null;
  });
}

const CSV_COLUMNS = ['recordingId', 'callId', 'serverCallId', 'startedAt', 'endedAt', 'durationMs', 'status', 'reasons', 'nextStep', 'nextDeadline', 'participants', 'participantIds', 'startedBy', 'content', 'channels', 'format', 'chunks', 'sizeBytes', 'held', 'doubtful', 'unsolicited', 'notices'];

/** A field of RFC 4180. What a spreadsheet would run as a formula begins with an apostrophe. */
function csvField(value) {
  const text = Array.isArray(value) ? value.join('; ') : String(value ?? '');
  const safe = typeof value !== 'number' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function saveCsv() {
  const lines = [CSV_COLUMNS, ...[...selection.rows.values()].map((recording) => CSV_COLUMNS.map((name) => recording[name]))];
  const text = `\ufeff${lines.map((line) => line.map(csvField).join(',')).join('\r\n')}\r\n`;
  const address = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  h('a', { href: address, download: `recordings-${isoDay(serverNow())}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  toast(`${plural(selection.rows.size, 'recording')} saved as CSV, times in UTC`);
}
