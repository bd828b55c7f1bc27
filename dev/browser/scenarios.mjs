// What the operator's page has to do, one function a scenario. They find things as a person does: by role and by name.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const at = (page, hash) => `${page}${hash}`;
const recordingAt = (page, id) => at(page, `#/recordings/${encodeURIComponent(id)}`);
const rows = (tab) => tab.locator('#pages .row');
const button = (tab, name) => tab.getByRole('button', { name });
const tile = (tab, id) => tab.locator(`#tile-${id}`);
const standing = (tab) => tab.locator('.standing-card');
/** What the vault says of a world in which nothing is wrong: "safe" takes a complete check. */
const NOTHING_WRONG = /Everything recorded is safe|Not known whether everything is safe/;
const SIZES = [[1440, 900], [1024, 768], [390, 844]];

/** Waits until a locator's text fits. */
async function shows(locator, expected) {
  const fits = (text) => (expected instanceof RegExp ? expected.test(text) : text.includes(expected));
  let text;
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    text = (await locator.first().textContent()) ?? '';
    if (fits(text)) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.fail(`expected ${expected}, it shows: ${text}`);
}

/** The next poll, without waiting for it: as when somebody comes back to the tab. */
const poll = (tab) => Promise.all([
  tab.waitForResponse((response) => response.url().endsWith('/summary')),
  tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))),
]);

/** The vault answers everything itself again, also a request that is on its way. */
const unroute = (tab) => tab.unrouteAll({ behavior: 'ignoreErrors' });

/** Keeps requests back until `release` is called. */
async function keptBack(tab, part) {
  const kept = { asked: 0 };
  const released = new Promise((resolve) => { kept.release = resolve; });
  await tab.route(part, async (route) => {
    kept.asked += 1;
    await released;
    await route.continue();
  });
  kept.areAsked = async (count) => {
    for (const end = Date.now() + 60_000; kept.asked < count && Date.now() < end;) await new Promise((resolve) => { setTimeout(resolve, 20); });
    assert.equal(kept.asked, count);
  };
  return kept;
}

/** The vault answers with another summary. */
async function changedSummary(tab, change) {
  await unroute(tab);
  await tab.route('**/vault/summary', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ json: change(await response.json()) });
  });
  await poll(tab);
}

/** Nothing that axe calls serious, and nothing wider than the window. */
async function isAccessible(tab, where) {
  const client = await tab.context().newCDPSession(tab);
  // By the debugger: the page's own policy lets no foreign script in.
  await client.send('Runtime.evaluate', { expression: axe });
  const { result } = await client.send('Runtime.evaluate', { expression: 'axe.run().then((found) => JSON.stringify(found.violations))', awaitPromise: true, returnByValue: true });
  const serious = JSON.parse(result.value).filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.slice(0, 3).map((node) => `  ${node.html} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(told, [], `on ${where}`);
  const [wide, window] = await tab.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= window, `${where} is ${wide} wide in a window of ${window}`);
}

/** The pictures of the documentation are made here, where `DOCS_IMAGES` names their folder. */
async function picture(tab, name) {
  const folder = process.env.DOCS_IMAGES;
  if (folder) await tab.screenshot({ path: `${folder}/${name}.png` });
}

/** What a click saves: its name and its bytes. */
async function saved(tab, click) {
  const [file] = await Promise.all([tab.waitForEvent('download'), click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

/** The overview says what the summary says, and leads on. `verified`: how many chunks. */
export async function overview({ page, open, verified }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tile(tab, 'verified'), String(verified));
  const summary = await tab.evaluate(async () => (await fetch(`${location.pathname.replace(/\/+$/, '')}/summary`)).json());
  await shows(tab.getByRole('heading', { level: 1 }), summary.verdict.headline);
  for (const unchecked of summary.verdict.notChecked) await shows(tab.locator('#verdict-more'), unchecked.slice(0, 20));
  await shows(tab.locator('#horizon'), 'No file waits for its export');
  await shows(tab.locator('#due'), 'Nothing is due');
  await shows(tab.locator('#health'), summary.verdict.check ? 'compared with their receipts' : 'not checked');
  // Every standing that is counted has a tile with its number and its list.
  for (const state of ['lost', 'failed', 'atRisk', 'unknown', 'missing', 'incomplete', 'doubtful', 'active', 'paused', 'awaitingFiles', 'waiting', 'exporting', 'backupOnly', 'acknowledged']) {
    assert.equal(await tile(tab, state).textContent(), String(summary.tiles[state]), state);
    assert.equal(await tab.locator(`#tile-${state}-box a`).getAttribute('href'), `#/recordings?state=${state}`);
  }
  await shows(tab.locator('.calendar li').last(), 'none open yet');
  await tab.locator('.calendar a').last().click();
  await tab.waitForURL(/zone=UTC/);
  await rows(tab).first().waitFor();
  await tab.goBack();
  await shows(tab.locator('#mode'), 'Read-only');
  assert.equal(await tab.locator('#days rect.bar.recordings').count(), 1, 'one day has recordings');
  await tab.getByText('The same as a table').first().click();
  await button(tab, 'Add up each by its kind').click();
  await shows(tab.locator('#cost'), /\$\d/);
  // A poll changes numbers, and neither the focus nor the place.
  const link = tab.getByRole('link', { name: /Verified/ });
  await link.focus();
  await poll(tab);
  assert.match(await tab.evaluate(() => document.activeElement.textContent), /Verified/);
  assert.equal(await tab.locator('#days-table details').getAttribute('open'), '');
  await tab.keyboard.press('Enter');
  await tab.waitForURL(/#\/recordings\?state=verified$/);
}

/** `recordings`: how many; `wav`: how many of these; `callId` and `participant`: of one recording each. */
export async function listAndFilter({ page, open, recordings, wav, callId, participant, recordingId }) {
  const tab = await open();
  await tab.goto(at(page, '#/recordings'));
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  assert.equal(await rows(tab).count(), recordings);
  await tab.getByLabel('Format', { exact: true }).selectOption('wav');
  await shows(tab.locator('#list-count'), `${wav} recording`);
  assert.match(tab.url(), /format=wav/);
  await tab.goBack();
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  assert.equal(await tab.getByLabel('Format', { exact: true }).inputValue(), '');
  await tab.getByLabel('Participant', { exact: true }).fill(participant);
  await shows(tab.locator('#list-count'), '1 recording');
  await tab.getByRole('link', { name: 'Clear' }).click();
  await tab.getByLabel('Search', { exact: true }).fill('no such thing');
  await shows(tab.locator('#list-end'), 'No recording fits');
  await tab.getByRole('link', { name: 'Show all recordings' }).click();
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  await tab.getByLabel(/^From/).fill('2020-01-01');
  await tab.getByLabel(/^To/).fill('2020-01-02');
  await shows(tab.locator('#list-end'), 'No recording fits');
  // Where is that call? An operator on the telephone finds it with a few keys, wherever the page is.
  await tab.keyboard.press('Escape');
  await tab.locator('h1').first().click();
  await tab.keyboard.press('/');
  await tab.keyboard.insertText(callId);
  await tab.keyboard.press('Enter');
  await tab.waitForURL(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await tab.goBack();
  await tab.waitForURL(/from=2020/);
}

/** `phone`: a participant of one recording, `recordingId`; `recordings`: how many there are; `callId`: of that one. */
export async function searchAndSelect({ page, open, recordings, recordingId, callId, phone, day }) {
  const tab = await open({ timezoneId: 'Asia/Tokyo' });
  await tab.goto(at(page, '#/recordings'));
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  const find = tab.locator('#find-text');
  // As one types the list follows, and the box keeps the focus.
  await find.pressSequentially(callId.slice(0, 8));
  await tab.waitForURL(/#\/recordings\?q=/);
  await rows(tab).first().waitFor();
  assert.equal(await tab.evaluate(() => document.activeElement.id), 'find-text');
  // What is pasted replaces it; a phone number is found in any spelling.
  await find.evaluate((input, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text', text);
    input.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, phone);
  await tab.waitForURL(recordingAt(page, recordingId));
  // Days are days of the chosen zone, and the link says of which.
  await find.fill(day);
  await tab.waitForURL(/zone=Asia%2FTokyo/);
  const [year, month, date] = day.split('-');
  const monthName = new Date(`${day}T00:00:00Z`).toLocaleDateString('en', { month: 'short', timeZone: 'UTC' });
  for (const written of [`${year}/${month}/${date}`, `${monthName} ${Number(date)}, ${year}`]) {
    await find.fill('zzz');
    await tab.waitForURL(/q=zzz/);
    await find.fill(written);
    await tab.waitForURL(new RegExp(`from=${day}`));
  }
  // An id comes out of a log line with its quotes.
  await find.fill(`"${callId}"`);
  await tab.waitForURL(new RegExp(`q=${callId}`));
  await find.fill(day);
  await tab.waitForURL(/zone=Asia%2FTokyo/);
  await shows(tab.locator('label[for=filter-from]'), 'Asia/Tokyo');
  await button(tab, 'Times: local').click();
  await tab.waitForURL(/zone=UTC/);
  await shows(tab.locator('label[for=filter-from]'), 'UTC');
  assert.match(tab.url(), new RegExp(`from=${day}`));
  // Many at once. The list of that day may have the same count: wait for the response to this query.
  await Promise.all([tab.waitForResponse((response) => response.url().includes('/recordings?top=')), tab.goto(at(page, '#/recordings'))]);
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  await tab.getByLabel('Select all loaded recordings').check();
  await shows(tab.locator('#selected-count'), `${recordings} selected`);
  const csv = await saved(tab, () => button(tab, 'CSV').click());
  const lines = csv.bytes.toString('utf8').trim().split('\r\n');
  assert.equal(lines.length, recordings + 1);
  assert.ok(lines.some((line) => line.startsWith(recordingId)));
  await button(tab, 'Hold').click();
  const dialog = tab.getByRole('dialog');
  await dialog.getByLabel('Case').fill('CASE-9');
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#selection-outcome'), `${recordings} held.`);
  await button(tab, 'Verify').click();
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await shows(tab.locator('#selection-outcome'), `${recordings} verified, with their content.`);
  await isAccessible(tab, 'a selection');
  // One ZIP after the other; one that breaks off is started again.
  const download = () => dialog.getByRole('button', { name: 'Download' }).click();
  await tab.route('**/vault/evidence?*', (route) => route.abort());
  await button(tab, 'ZIP').click();
  await download();
  await shows(tab.locator('#selection-outcome'), '0 of 1 ZIP saved.');
  await unroute(tab);
  const zip = await saved(tab, () => tab.locator('#selection-outcome').getByRole('button', { name: 'Try again' }).click());
  assert.match(zip.name, /^evidence-.*\.zip$/);
  assert.equal(zip.bytes.subarray(0, 2).toString('latin1'), 'PK');
  await shows(tab.locator('#selection-outcome'), '1 of 1 ZIP saved.');
  await button(tab, 'Clear selection').click();
  await tab.locator('#selection').waitFor({ state: 'hidden' });
  await tab.getByLabel('Marked').selectOption('held');
  await tab.waitForURL(/marked=held/);
  await rows(tab).first().waitFor();
}

/** What `AT_ONCE` of the page is. */
const WORKED_ON_AT_ONCE = 3;

/** `recordings`: how many there are, more than are worked on at once. An action on many outlives every other list, and what it did not do stays to be read. */
export async function bulkActions({ page, open, recordings }) {
  const tab = await open();
  const dialog = tab.getByRole('dialog');
  const outcome = tab.locator('#selection-outcome');
  const notices = tab.locator('#notices');
  const view = (name) => tab.getByRole('navigation').getByRole('link', { name, exact: true });
  const hold = async (tag) => {
    const kept = await keptBack(tab, '**/hold');
    await tab.getByLabel('Select all loaded recordings').check();
    await button(tab, 'Hold').click();
    await dialog.getByLabel('Case').fill(tag);
    await tab.keyboard.press('Enter');
    await kept.areAsked(WORKED_ON_AT_ONCE);
    return kept;
  };
  await tab.goto(at(page, '#/recordings'));
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  const all = await hold('CASE-1');
  await shows(outcome, `0 held of ${recordings}`);
  await view('Holds').click();
  await shows(notices, 'an action on them is running');
  await isAccessible(tab, 'another view while an action runs');
  // Back at an old list, with another filter, in the other zone: each of them reads the list again.
  await tab.evaluate('list.loadedAt = 0');
  await view('Recordings').click();
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  await tab.getByLabel('Format', { exact: true }).selectOption('wav');
  await tab.waitForURL(/format=wav/);
  await tab.locator('#filter-from').fill('2020-01-01');
  await tab.waitForURL(/from=2020/);
  await button(tab, 'Times: local').click();
  await tab.waitForURL(/zone=UTC/);
  await shows(outcome, `0 held of ${recordings}`);
  await button(tab, 'Stop').waitFor();
  await notices.getByRole('link', { name: 'Show' }).waitFor({ state: 'detached' });
  all.release();
  await shows(outcome, `${recordings} held.`);
  await button(tab, 'Dismiss the result').click();
  await tab.locator('#selection').waitFor({ state: 'hidden' });
  await unroute(tab);
  const held = await tab.evaluate(async () => (await (await fetch(`${location.pathname.replace(/\/+$/, '')}/holds`)).json()).holds.length);
  assert.equal(held, recordings);
  // Stopped: what was sent is waited for, the rest is reported as not done, wherever the operator is.
  await Promise.all([tab.waitForResponse((response) => response.url().includes('/recordings?top=')), tab.goto(at(page, '#/recordings'))]);
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  const stopped = await hold('CASE-2');
  await button(tab, 'Stop').click();
  await button(tab, 'Stopping').waitFor();
  await view('Holds').click();
  stopped.release();
  const left = recordings - WORKED_ON_AT_ONCE;
  const text = `${WORKED_ON_AT_ONCE} held, ${left} not done.`;
  await shows(notices, text);
  await shows(tab.locator('.toast.bad'), text);
  await poll(tab);
  await poll(tab);
  await shows(notices, text);
  await tab.evaluate('list.loadedAt = 0');
  await notices.getByRole('link', { name: 'Show' }).click();
  await rows(tab).first().waitFor();
  await shows(outcome.locator('.bad-text'), text);
  assert.equal(await outcome.locator('li').count(), left, 'what was not done is named');
  await isAccessible(tab, 'an action that was stopped');
  await button(tab, 'Dismiss the result').click();
  await tab.locator('#selection').waitFor({ state: 'hidden' });
  // A verification records what it finds: one that was begun is waited for.
  await unroute(tab);
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  const verified = await keptBack(tab, '**/verify');
  await tab.getByLabel('Select all loaded recordings').check();
  await button(tab, 'Verify').click();
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await verified.areAsked(WORKED_ON_AT_ONCE);
  await button(tab, 'Stop').click();
  await button(tab, 'Stopping').waitFor();
  verified.release();
  await shows(outcome, `${WORKED_ON_AT_ONCE} verified, with their content, ${left} not done.`);
}

/** `spellings`: phone numbers as people write them, each with the one recording of its number. */
export async function phoneNumbers({ page, open, spellings }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tile(tab, 'verified'), /\d/);
  for (const [written, recordingId] of spellings) {
    await tab.locator('#find-text').fill(written);
    await tab.keyboard.press('Enter');
    await tab.waitForURL(recordingAt(page, recordingId));
    await tab.goto(at(page, '#/recordings'));
    await rows(tab).first().waitFor();
    await tab.getByLabel('Participant', { exact: true }).fill(written);
    await tab.waitForURL((url) => new URLSearchParams(url.hash.split('?')[1]).get('participant') === written);
    await shows(tab.locator('#list-count'), '1 recording');
  }
}

/** `recordingId`: one in the vault. Each view says of when it is, and one that is not updated can be read again. */
export async function freshness({ page, open, recordingId }) {
  const tab = await open();
  const foot = tab.locator('#freshness');
  const reload = button(tab, 'Reload this view');
  await tab.goto(page);
  await shows(foot, /^Numbers as of .*, updated every 10 seconds/);
  assert.equal(await reload.count(), 0);
  await tab.goto(recordingAt(page, recordingId));
  await shows(foot, /^As of .*; updated every minute\.$/);
  for (const [hash, ready] of [['#/recordings', '#pages .row'], ['#/holds', '#hold-list .blank'], ['#/poison', '#poison .blank']]) {
    await unroute(tab);
    await poll(tab);
    await tab.goto(at(page, hash));
    await tab.locator(ready).first().waitFor();
    await shows(foot, /^Read at .*; not updated automatically\./);
    const before = await foot.textContent();
    // An hour later, by the vault's clock: the numbers are of then, and the view is not.
    await changedSummary(tab, (summary) => ({ ...summary, now: new Date(Date.parse(summary.now) + 3_600_000).toISOString() }));
    assert.equal(await foot.textContent(), before, hash);
    await isAccessible(tab, `${hash} with the time at which it was read`);
    await reload.focus();
    await tab.keyboard.press('Enter');
    await tab.waitForFunction((before) => {
      const text = document.querySelector('#freshness').textContent;
      return text.startsWith('Read at') && text !== before;
    }, before);
    assert.equal(await tab.evaluate(() => document.activeElement.textContent), 'Reload');
  }
}

/** Whether the sweep is late says the verdict: the page does not know the timer's schedule. */
export async function health({ page, open }) {
  const tab = await open();
  await tab.goto(page);
  const sweep = tab.locator('#health dd').first();
  const shown = (codes, minutesAgo) => changedSummary(tab, ({ verdict, tiles, ...summary }) => ({
    ...summary, verdict: { ...verdict, codes }, tiles: { ...tiles, lastSweep: { at: new Date(Date.parse(summary.now) - minutesAgo * 60_000).toISOString(), durationMs: 5 } },
  }));
  await shows(tile(tab, 'verified'), /\d/);
  await shown([], 20);
  await shows(sweep, /last 20 min .* ago, took 5 ms$/);
  assert.equal(await sweep.locator('.bad-text').count(), 0);
  for (const code of ['sweepLate', 'timerLate']) {
    await shown([], 2);
    await shows(sweep, /took 5 ms$/);
    await shown([code], 2);
    await shows(sweep, 'Check that the timer runs.');
    assert.equal(await sweep.locator('.bad-text').count(), 1);
  }
  await shown(['sweepLate'], -60);
  await shows(sweep, 'Check the clocks.');
}

/** `recordingId`: one in the vault. What is saved is what the vault has, byte for byte. */
export async function downloads({ page, open, recordingId, documentId }) {
  const tab = await open();
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  const metadata = await saved(tab, () => button(tab, 'ACS metadata of chunk 0').click());
  const inVault = await tab.evaluate(async (id) => (await fetch(`${location.pathname.replace(/\/+$/, '')}/chunks/${id}/metadata`)).text(), documentId);
  assert.equal(metadata.bytes.toString('utf8'), inVault);
  const evidence = await saved(tab, () => button(tab, 'Evidence (ZIP)').click());
  assert.match(evidence.name, /^evidence-.*\.zip$/);
  assert.equal(evidence.bytes.subarray(0, 2).toString('latin1'), 'PK');
  // What breaks off is reported, is not saved, and can be started again.
  await tab.route('**/evidence?*', (route) => route.abort());
  await button(tab, 'Evidence (ZIP)').click();
  await shows(tab.locator('#toasts'), 'cannot be reached');
  await unroute(tab);
  // What an operator asked for and did not get stays to be read, though the vault answers again.
  await poll(tab);
  await poll(tab);
  assert.ok(await tab.locator('.toast.bad').isVisible());
  await tab.locator('.toast.bad').getByRole('button', { name: 'Dismiss the message' }).click();
  await tab.locator('.toast.bad').waitFor({ state: 'detached' });
  await saved(tab, () => button(tab, 'Evidence (ZIP)').click());
}

/** `recordingId`: one in the vault, with `documentId` and `callId`. What could not be read again says since when it is so. */
export async function refreshFails({ page, open, recordingId, documentId, callId }) {
  const tab = await open();
  const fails = (part) => tab.route(part, (route) => route.fulfill({ status: 503, body: '' }));
  const outdated = (box) => tab.locator(`.outdated:has(+ ${box})`);
  await tab.goto(page);
  await shows(tab.locator('#horizon'), 'No file waits for its export');
  await shows(tab.locator('#due'), 'Nothing is due');
  await fails('**/vault/deadlines*');
  await fails('**/vault/deadlines/recordings*');
  for (let count = 0; count < 3; count += 1) await poll(tab);
  await shows(outdated('#horizon'), /As of .*could not be read again/);
  await shows(outdated('#due'), /As of .*could not be read again/);
  await isAccessible(tab, 'an overview of which parts are outdated');
  await unroute(tab);
  for (let count = 0; count < 3; count += 1) await poll(tab);
  await tab.locator('.outdated').first().waitFor({ state: 'detached' });
  // An older answer that comes late does not replace a newer one.
  let late;
  const arrived = new Promise((resolve) => { late = resolve; });
  await tab.route('**/vault/summary', async (route) => {
    const response = await route.fetch();
    const summary = await response.json();
    late(() => route.fulfill({ json: { ...summary, verdict: { ...summary.verdict, headline: 'What was said before' } } }));
  }, { times: 1 });
  await tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  const answerLate = await arrived;
  await poll(tab);
  await shows(tab.getByRole('heading', { level: 1 }), NOTHING_WRONG);
  await answerLate();
  await tab.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 0); }));
  await shows(tab.getByRole('heading', { level: 1 }), NOTHING_WRONG);
  // A request without an answer: the verdict does not stay as it is until the request fails.
  await tab.route('**/vault/summary', () => { /* no answer */ });
  await tab.evaluate('updateVerdict(Object.assign(vault.summary.verdict, { kind: "safe" }))');
  await tab.locator('#hero.good').waitFor();
  await tab.evaluate('clockAhead += 31_000');
  await shows(tab.locator('#verdict-as-of'), /^Outdated: as of .*UTC/);
  await shows(tab.locator('#notice-stale'), 'has not answered yet');
  await tab.locator('#hero.warn').waitFor();
  await isAccessible(tab, 'an overview that is outdated');
  await unroute(tab);
  await poll(tab);
  await shows(tab.locator('#verdict-as-of'), /^As of /);
  await tab.locator('#notice-stale').waitFor({ state: 'detached' });
  // Where App Service Authentication asks for a sign-in, no key helps.
  await tab.route('**/vault/summary', (route) => route.fulfill({ status: 401, headers: { 'www-authenticate': 'Bearer realm="app"' } }));
  await poll(tab);
  await tab.getByRole('link', { name: 'Sign in' }).waitFor();
  assert.equal(await tab.getByRole('dialog').count(), 0);
  await unroute(tab);
  await poll(tab);
  await tab.getByRole('link', { name: 'Sign in' }).waitFor({ state: 'detached' });
  // A sum without all recordings is no sum.
  await tab.route('**/vault/recordings?*', (route) => route.abort());
  await button(tab, 'Add up each by its kind').click();
  await shows(tab.locator('#cost'), 'cannot be reached');
  assert.doesNotMatch(await tab.locator('#cost').textContent(), /for 0 recordings/);
  await unroute(tab);
  // One hit is opened only where every recording was searched.
  await tab.route('**/vault/recordings?*', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ json: { ...(await response.json()), notSearched: { participantsUnknown: 2, unreadable: 0, isLowerBound: false } } });
  });
  await tab.locator('#find-text').fill(callId);
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#list-end'), /Not searched/);
  assert.match(tab.url(), /#\/recordings\?q=/);
  await unroute(tab);
  // A recording that could not be read again.
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await fails(`**/vault/recordings/${encodeURIComponent(recordingId)}`);
  for (let count = 0; count < 6; count += 1) await poll(tab);
  await shows(tab.locator('.outdated'), /As of .*could not be read again/);
  await unroute(tab);
  // A download that breaks off goes on where it stopped.
  await tab.evaluate(() => {
    const real = window.fetch;
    window.ranges = [];
    window.fetch = async (url, options) => {
      const response = await real(url, options);
      if (!String(url).endsWith('/metadata')) return response;
      window.ranges.push(options.headers.range ?? null);
      if (options.headers.range) return response;
      const whole = await response.arrayBuffer();
      let isBegun = false;
      const body = new ReadableStream({
        pull(stream) {
          if (isBegun) return stream.error(new TypeError('network error'));
          isBegun = true;
          return stream.enqueue(new Uint8Array(whole.slice(0, 10)));
        },
      });
      return new Response(body, { status: 200, headers: response.headers });
    };
  });
  const metadata = await saved(tab, () => button(tab, 'ACS metadata of chunk 0').click());
  assert.deepEqual(await tab.evaluate(() => window.ranges), [null, 'bytes=10-']);
  const inVault = await tab.evaluate(async (id) => (await fetch(`${location.pathname.replace(/\/+$/, '')}/chunks/${id}/metadata`, { headers: { range: 'bytes=0-' } })).text(), documentId);
  assert.equal(metadata.bytes.toString('utf8'), inVault);
}

/** `recordingId`: a recording that runs. */
export async function control({ page, open, recordingId }) {
  const tab = await open();
  await tab.goto(recordingAt(page, recordingId));
  const dialog = tab.getByRole('dialog');
  await shows(tab.locator('.detail-main .blank'), 'Nothing to play yet');
  await button(tab, 'Pause').click();
  await shows(dialog, 'Recording of');
  await dialog.getByLabel('Resume by itself after').fill('1h');
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await shows(standing(tab), 'Resumes by itself in');
  await button(tab, 'Resume').click();
  await dialog.getByRole('button', { name: 'Resume' }).click();
  await shows(tab.locator('.timeline'), /resumed/i);
  await shows(tab.locator('.timeline .paused'), 'paused');
  await shows(tab.locator('.timeline .started'), 'started');
  await shows(tab.locator('.timeline .paused'), 'by Test operator (claimed)');
  // Times in sentences are in the chosen zone, and what is not known has no line.
  assert.doesNotMatch(await tab.locator('.timeline').textContent(), /\dT\d\d:/);
  assert.doesNotMatch(await tab.locator('.detail-side').textContent(), /Estimate/);
  await button(tab, 'Stop').click();
  await dialog.getByRole('button', { name: 'Stop' }).click();
  await shows(tab.locator('#toasts'), 'The recording is stopped');
}

/** `recordingId`: two chunks of audio; `channels`: how many. */
export async function play({ page, open, recordingId, videoId, channels }) {
  const tab = await open();
  let tickets = 0;
  tab.on('request', (request) => { tickets += request.url().endsWith('/ticket') ? 1 : 0; });
  await tab.goto(recordingAt(page, recordingId));
  await tab.getByRole('button', { name: 'Chunk 1', exact: true }).waitFor();
  const media = tab.locator('audio');
  const plays = () => tab.waitForFunction(() => { const media = document.querySelector('audio, video'); return media.currentTime > 0.2 && !media.error; });
  await media.evaluate((audio) => audio.play());
  await plays();
  await tab.locator('.bar .wave path').first().waitFor({ state: 'attached' });
  assert.equal(await tab.locator('table.people tbody tr').count(), channels);
  assert.equal(tickets, 1);
  assert.doesNotMatch(await standing(tab).textContent(), /unsolicited/, 'it was started here');
  // The end of one chunk is the beginning of the next.
  await media.evaluate((audio) => { audio.currentTime = audio.duration - 0.2; });
  await tab.waitForFunction(() => document.querySelector('[data-chunk="1"]').getAttribute('aria-pressed') === 'true');
  await plays();
  assert.equal(tickets, 2);
  // The keyboard goes anywhere on the bar.
  const bar = tab.getByRole('slider', { name: 'Position' });
  await bar.focus();
  await tab.keyboard.press('Home');
  await tab.waitForFunction(() => document.querySelector('[data-chunk="0"]').getAttribute('aria-pressed') === 'true');
  await shows(bar.locator('xpath=..').locator('.time'), '0:0');
  // A part beyond the end is refused, with the true length.
  const beyond = await tab.evaluate(async () => {
    const response = await fetch(document.querySelector('audio').src, { headers: { range: 'bytes=999999999-' }, cache: 'no-store' });
    return [response.status, response.headers.get('content-range')];
  });
  assert.equal(beyond[0], 416);
  assert.match(beyond[1], /^bytes \*\/\d+$/);
  // Video plays as well.
  await tab.goto(recordingAt(page, videoId));
  await tab.locator('video').waitFor();
  await tab.waitForFunction(() => document.querySelector('video').readyState > 0);
}

/** A ticket that no longer counts is replaced once; what fails then is told, with a way on. */
export async function mediaFails({ page, open, recordingId }) {
  const tab = await open();
  let tickets = 0;
  tab.on('request', (request) => { tickets += request.url().endsWith('/ticket') ? 1 : 0; });
  const expired = { status: 403, contentType: 'application/json', body: JSON.stringify({ error: { code: 'TicketExpired', message: 'This ticket has expired; ask for a new one.' } }) };
  await tab.route('**/play/**', (route) => route.fulfill(expired));
  await tab.goto(recordingAt(page, recordingId));
  await shows(tab.locator('.player-message'), 'This ticket has expired');
  assert.equal(tickets, 2);
  await unroute(tab);
  await tab.locator('.player-message').getByRole('button', { name: 'Try again' }).click();
  await tab.waitForFunction(() => document.querySelector('audio').readyState > 0);
  await tab.locator('.player-message').waitFor({ state: 'hidden' });
}

/** `failedId`: a recording with a chunk that was given up. */
export async function retry({ page, open, failedId }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tab.getByRole('heading', { level: 1 }), 'Needs attention');
  await shows(tab.locator('#due'), 'retry the export');
  await picture(tab, 'operator-page');
  // In a narrow window every column of what is due can be read without moving the table.
  await tab.setViewportSize({ width: 390, height: 844 });
  const [inside, box] = await tab.locator('#due .scroll').evaluate((scroll) => [scroll.scrollWidth, scroll.clientWidth]);
  assert.ok(inside <= box, `the table of what is due is ${inside} wide in a box of ${box}`);
  await tab.setViewportSize({ width: 1360, height: 900 });
  await tab.getByRole('link', { name: /Failed/ }).click();
  await rows(tab).getByRole('link').first().click();
  await tab.waitForURL(recordingAt(page, failedId));
  const again = button(standing(tab), 'Retry');
  await again.click();
  const dialog = tab.getByRole('dialog');
  await shows(dialog, 'Nothing is deleted');
  await shows(dialog, 'Recording of');
  // Escape changes nothing, and gives the focus back.
  await tab.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await tab.evaluate(() => document.activeElement.textContent), 'Retry');
  await again.click();
  // Another view is another question.
  await tab.goBack();
  await dialog.waitFor({ state: 'hidden' });
  await tab.goForward();
  await again.click();
  await dialog.getByRole('button', { name: 'Retry' }).click();
  await shows(tab.locator('#toasts'), 'is open again');
  await shows(tab.locator('.chunk-state'), 'waiting for export');
}

/** `recordingId`: one in the vault. */
export async function hold({ page, open, recordingId }) {
  const tab = await open();
  await tab.goto(recordingAt(page, recordingId));
  await button(tab, 'Verify').click();
  const dialog = tab.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await shows(tab.locator('.checked'), /^Verified at \d+ \w+ \d{4}, .*: .*the SHA-256 agrees/);
  // The result is of the chunk as it was then.
  await tab.route(`**/vault/recordings/${encodeURIComponent(recordingId)}`, async (route) => {
    const response = await route.fetch();
    const recording = await response.json();
    await route.fulfill({ json: { ...recording, status: 'doubtful', chunkList: recording.chunkList.map((chunk) => ({ ...chunk, doubts: ['the copy is damaged'] })) } });
  });
  await tab.evaluate('refreshRecording()');
  await tab.locator('.checked').waitFor({ state: 'detached' });
  await unroute(tab);
  await tab.evaluate('refreshRecording()');
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await button(tab, 'Hold').click();
  await isAccessible(tab, 'the question before a hold');
  await dialog.getByRole('button', { name: 'Hold' }).click();
  assert.ok(await dialog.isVisible(), 'a hold without a case is not sent');
  await dialog.getByLabel('Case').fill('CASE-7 <b>');
  await tab.keyboard.press('Escape');
  await button(tab, 'Hold').click();
  assert.equal(await dialog.getByLabel('Case').inputValue(), '', 'what was cancelled is gone');
  await dialog.getByLabel('Case').fill('CASE-7');
  await dialog.getByLabel('Note').fill('<img src=x onerror=alert(1)>');
  // A refused action is asked for again with what was typed.
  await tab.route('**/hold', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: '{"error":{"code":"Busy","message":"The ledger is busy."}}' }), { times: 1 });
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#toasts'), 'The ledger is busy.');
  await button(tab, 'Hold').click();
  assert.equal(await dialog.getByLabel('Case').inputValue(), 'CASE-7');
  assert.equal(await dialog.getByLabel('Note').inputValue(), '<img src=x onerror=alert(1)>');
  await tab.keyboard.press('Enter');
  await shows(tab.locator('.holds'), 'CASE-7');
  await shows(tab.locator('.holds'), '<img src=x');
  await shows(standing(tab), 'held');
  await button(tab, 'Release CASE-7').click();
  await shows(dialog, 'cannot be brought back');
  await dialog.getByRole('button', { name: 'Release' }).click();
  await shows(tab.locator('#toasts'), 'CASE-7 is released');
  await tab.locator('.holds').waitFor({ state: 'detached' });
  // The history keeps all of it: what was done, what was undone, and who looked.
  const history = tab.locator('.timeline');
  await tab.reload();
  await shows(history.locator('.verified'), 'Chunk 0 was compared with its receipt by');
  await shows(history.locator('.held'), 'held for the case CASE-7');
  await shows(history.locator('.released'), 'released from the case CASE-7');
  await shows(history.locator('.ticketIssued'), 'Chunk 0 was given a ticket for playing by');
}

/** `recordingId`: one in the vault. What was typed and refused stays for its author, and is shown to nobody else. */
export async function drafts({ page, open, recordingId, key }) {
  const tab = await open({ operator: 'Ada' });
  const dialog = tab.getByRole('dialog');
  const unlock = async () => {
    await dialog.getByLabel('Function key').fill(key);
    await tab.keyboard.press('Enter');
  };
  const isCalled = (name) => tab.evaluate((name) => sessionStorage.setItem('recording-vault.operator', name), name);
  const hold = async () => {
    await button(standing(tab), 'Hold').click();
    return dialog.getByLabel('Case').inputValue();
  };
  await tab.goto(recordingAt(page, recordingId));
  await unlock();
  await tab.route('**/hold', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: '{"error":{"code":"Busy","message":"The ledger is busy."}}' }));
  assert.equal(await hold(), '');
  await dialog.getByLabel('Case').fill('CASE-ADA');
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#toasts'), 'The ledger is busy.');
  assert.equal(await hold(), 'CASE-ADA');
  await tab.keyboard.press('Enter');
  await tab.goto(at(page, '#/holds'));
  await tab.locator('#hold-form').getByLabel('Case').fill('CASE-ADA-2');
  // Another name in the same tab.
  await isCalled('Bert');
  await tab.goto(recordingAt(page, recordingId));
  assert.equal(await hold(), '');
  await tab.keyboard.press('Escape');
  await tab.goto(at(page, '#/holds'));
  await shows(tab.locator('#hold-form'), 'under Bert');
  assert.equal(await tab.locator('#hold-form').getByLabel('Case').inputValue(), '');
  // Forgotten with the key.
  await tab.locator('#hold-form').getByLabel('Case').fill('CASE-BERT');
  await button(tab, 'Forget key').click();
  await unlock();
  await tab.locator('#hold-form').getByLabel('Case').waitFor();
  assert.equal(await tab.locator('#hold-form').getByLabel('Case').inputValue(), '');
}

/** `recordingId`: of a file for which events name two places. */
export async function choosePlace({ page, open, recordingId }) {
  const tab = await open();
  const dialog = tab.getByRole('dialog');
  const places = tab.locator('.places');
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), /doubtful/i);
  await shows(places, 'Place 1, represents the document');
  await shows(places, 'Place 2, in the vault');
  await isAccessible(tab, 'a file with several places');
  // The button of the next step asks which one.
  await button(standing(tab), 'Accept').click();
  await shows(dialog, 'Accept a place of chunk 0?');
  assert.equal(await dialog.getByLabel('The right place').locator('option').count(), 2);
  await isAccessible(tab, 'the choice of a place');
  await tab.keyboard.press('Escape');
  await button(places, 'Accept place 2 of chunk 0').click();
  assert.equal(await dialog.getByLabel('The right place').inputValue(), '2');
  await dialog.getByRole('button', { name: 'Accept' }).click();
  await shows(tab.locator('#toasts'), 'Chunk 0: a place is accepted');
  await shows(places.locator('li').first(), 'Place 2, represents the document');
  await button(places, /Accept place/).first().waitFor({ state: 'detached' });
}

/** `recordingId`: of a call with `phone`, which is written in another way than in the call; `day`: when it began. */
export async function standingHolds({ page, open, recordingId, phone, day }) {
  const tab = await open({ timezoneId: 'Asia/Tokyo', operator: '' });
  await tab.goto(at(page, '#/holds'));
  const form = tab.locator('#hold-form');
  const outcome = tab.locator('#hold-outcome');
  const list = tab.locator('#hold-list');
  await shows(list, 'The retention policy applies');
  await isAccessible(tab, 'the form of a hold');
  await form.getByLabel('Case').fill('CASE-1');
  await form.getByLabel('Your name').fill('Zoë K');
  await form.getByRole('button', { name: 'Hold' }).click();
  await shows(outcome, 'Enter a person, a period, or both');
  // The vault refuses the first try of somebody without a name: the name is kept, and all that was typed stays.
  await form.getByLabel(/^From/).fill(day);
  await form.getByLabel(/^To/).fill('2020-01-01');
  await form.getByRole('button', { name: 'Hold' }).click();
  await shows(outcome, 'must end after it begins');
  await form.getByLabel('Your name').waitFor({ state: 'detached' });
  assert.deepEqual(await form.locator('input').evaluateAll((inputs) => inputs.map(({ value }) => value)), ['CASE-1', '', day, '2020-01-01', '', '']);
  await button(tab, /^Times/).click();
  await form.getByLabel('From (UTC)').waitFor();
  assert.equal(await form.getByLabel('Case').inputValue(), 'CASE-1', 'the other zone changes no field');
  await button(tab, /^Times/).click();
  await form.getByLabel('From (Asia/Tokyo)').fill('');
  await form.getByLabel(/^To/).fill('');
  await form.getByRole('textbox', { name: 'Person' }).fill(phone);
  await form.getByLabel('Reason').fill('<img src=x onerror=alert(1)>');
  await form.getByRole('button', { name: 'Hold' }).click();
  await shows(outcome, 'CASE-1 holds 1 chunk now.');
  await shows(list, 'CASE-1');
  await shows(list, '<img src=x');
  await shows(list.locator('tbody tr td').nth(2), '1 chunk of 1 recording');
  // A period that is turned round is refused, and what was typed stays.
  await form.getByLabel('Case').fill('CASE-2');
  await form.getByLabel(/^From/).fill(day);
  await form.getByLabel(/^To/).fill('2020-01-01');
  await form.getByRole('button', { name: 'Hold' }).click();
  await shows(outcome, 'must end after it begins');
  assert.equal(await form.getByLabel('Case').inputValue(), 'CASE-2');
  // A period of which nothing is known yet, in days of the chosen zone.
  await form.getByLabel(/^From/).fill('2020-01-01');
  await form.getByRole('button', { name: 'Hold' }).click();
  await shows(outcome, 'No known recording matches');
  await shows(list, 'from 1 Jan 2020, 00:00:00');
  await isAccessible(tab, 'the list of holds');
  // A recording says what holds it; its history says since when and until when.
  await tab.goto(recordingAt(page, recordingId));
  await shows(tab.locator('.holds'), 'CASE-1');
  await tab.goto(at(page, '#/holds'));
  for (const name of ['CASE-1', 'CASE-2']) {
    await button(list, `Release ${name} of`).click();
    const dialog = tab.getByRole('dialog');
    await shows(dialog, 'cannot be brought back');
    await dialog.getByRole('button', { name: 'Release' }).click();
    await shows(tab.locator('#toasts'), `is released from ${name}`);
    await button(list, `Release ${name} of`).waitFor({ state: 'detached' });
  }
  await shows(list, 'The retention policy applies');
  await tab.goto(recordingAt(page, recordingId));
  await shows(tab.locator('.timeline .held'), 'held for the case CASE-1 (standing hold) by Zoë K (claimed)');
  await shows(tab.locator('.timeline .released'), 'released from the case CASE-1 (standing hold)');
}

/** `recordingId`: held for P-1 and A-2026-114 by a hold on a person, and for A-2026-114 and B-2 by its id. */
export async function heldByOthers({ page, open, recordingId }) {
  const tab = await open();
  const dialog = tab.getByRole('dialog');
  const holds = tab.locator('.holds');
  const toasts = tab.locator('#toasts');
  const list = tab.locator('#hold-list');
  const release = async (within, name) => {
    await button(within, name).click();
    await dialog.getByRole('button', { name: 'Release' }).click();
  };
  await tab.goto(recordingAt(page, recordingId));
  await shows(holds, 'The hold is on a person.');
  await button(holds, 'Release B-2').waitFor();
  assert.equal(await button(holds, 'Release P-1').count(), 0, 'a hold on a person is not released at one recording');
  await isAccessible(tab, 'a recording that other holds cover');
  await release(holds, 'Release A-2026-114');
  await shows(toasts, 'Still held for A-2026-114: only its hold on this recording is released');
  assert.doesNotMatch(await toasts.textContent(), /A-2026-114 is released/);
  await button(holds, 'Release A-2026-114').waitFor({ state: 'detached' });
  await shows(holds, 'A-2026-114');
  await release(holds, 'Release B-2');
  await shows(toasts, /B-2 is released; still held for (P-1, A-2026-114|A-2026-114, P-1)/);
  await holds.getByRole('link', { name: /^Release in Holds: P-1/ }).click();
  await release(list, 'Release P-1 of');
  await shows(toasts, 'is released from P-1; still held for A-2026-114');
  await button(list, 'Release P-1 of').waitFor({ state: 'detached' });
  await release(list, 'Release A-2026-114 of');
  await shows(toasts, /is released from A-2026-114(?!;)/);
  await shows(list, 'The retention policy applies');
}

/** `name`: of the button that releases a hold on several recordings; `text`: what is said of those that other holds still keep. */
export async function releasedInPart({ page, open, name, text }) {
  const tab = await open();
  const toasts = tab.locator('#toasts');
  const release = button(tab.locator('#hold-list'), name);
  await tab.goto(at(page, '#/holds'));
  await release.click();
  await tab.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
  await shows(toasts, text);
  assert.doesNotMatch(await toasts.textContent(), /is released from|covers it/);
  await release.waitFor({ state: 'detached' });
}

/** `recordingId`: one whose copy a verification found damaged; `sha256`: of its file as it is. The vault takes no acceptance of it. */
export async function damagedCopy({ page, open, recordingId, sha256 }) {
  const tab = await open();
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), /damaged copy/);
  await shows(standing(tab), 'Restore the file in the vault');
  await button(standing(tab), 'Verify').waitFor();
  assert.equal(await button(standing(tab), 'Accept').count(), 0);
  // It is played and saved as it is, and is marked as damaged.
  await shows(tab.locator('.player .damage'), 'The copy of chunk 0 is damaged');
  await tab.locator('audio').evaluate((audio) => audio.play());
  await tab.waitForFunction(() => { const audio = document.querySelector('audio'); return audio.currentTime > 0.2 && !audio.error; });
  await isAccessible(tab, 'a damaged copy');
  assert.equal(await button(tab, /^(Download chunk|ACS metadata of chunk)/).count(), 0, 'what the vault refuses is not offered');
  const file = await saved(tab, () => button(tab, 'Download the damaged file of chunk 0').click());
  assert.match(file.name, /^damaged-.*\.wav$/);
  assert.equal(createHash('sha256').update(file.bytes).digest('hex'), sha256);
}

/** `sha256`: of an event that cannot be read. */
export async function replay({ page, open, sha256 }) {
  const tab = await open();
  await tab.goto(page);
  await tab.getByRole('navigation').getByRole('link', { name: /Unreadable/ }).click();
  await shows(tab.locator('#poison table'), sha256.slice(0, 8));
  // It can be read as it is, here and in a file.
  await tab.locator('#poison').getByRole('button', { name: /Show/ }).click();
  await shows(tab.getByRole('dialog').locator('pre'), '"data": "nothing"');
  await isAccessible(tab, 'an unreadable event');
  await tab.keyboard.press('Escape');
  const event = await saved(tab, () => tab.locator('#poison').getByRole('button', { name: /Download/ }).click());
  assert.equal(createHash('sha256').update(event.bytes).digest('hex'), sha256);
  await tab.locator('#poison').getByRole('button', { name: /Replay/ }).click();
  await tab.getByRole('dialog').getByRole('button', { name: 'Replay' }).click();
  await shows(tab.locator('#toasts'), /Still not readable|announced/);
}

/** `doubtfulId`, `failedId`: recordings that need a decision; `sha256`: of an event that cannot be read. */
export async function decide({ page, open, doubtfulId, failedId, sha256 }) {
  const tab = await open({ operator: null });
  const dialog = tab.getByRole('dialog');
  const name = dialog.getByLabel(/Your name/);
  await tab.goto(recordingAt(page, doubtfulId));
  await shows(tab.locator('#mode'), 'Operator');
  // The player goes by the file, whatever the metadata says.
  await shows(tab.locator('.bar-box .time'), '/ 0:05');
  await shows(tab.locator('.chunk .facts'), 'the file itself has 0:05');
  await button(standing(tab), 'Accept').click();
  await isAccessible(tab, 'the question with a name');
  await dialog.getByRole('button', { name: 'Accept' }).click();
  assert.ok(await dialog.isVisible(), 'an action without a name is not sent');
  await name.fill('  ');
  await dialog.getByRole('button', { name: 'Accept' }).click();
  assert.ok(await dialog.isVisible(), 'a blank name is no name');
  await name.fill('Zoë K');
  await dialog.getByRole('button', { name: 'Accept' }).click();
  await shows(tab.locator('#toasts'), 'is accepted');
  // The name is asked for once.
  await tab.goto(recordingAt(page, failedId));
  await button(standing(tab), 'Acknowledge').click();
  await shows(dialog, 'under Zoë K, which is not verified');
  assert.equal(await name.count(), 0);
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  assert.ok(await dialog.isVisible(), 'a loss without a reason is not acknowledged');
  await dialog.getByLabel(/Reason/).fill('a test call');
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#toasts'), 'The loss is acknowledged');
  await shows(standing(tab), /acknowledged/i);
  await tab.goto(at(page, '#/poison'));
  await shows(tab.locator('#poison table'), sha256.slice(0, 8));
  await tab.locator('#poison').getByRole('button', { name: /Dismiss/ }).click();
  await dialog.getByLabel(/Reason/).fill('a test event');
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#toasts'), 'The event is dismissed');
  await shows(tab.locator('#poison'), 'No unreadable event is open');
}

/** `reader`: a key of the function Vault; `operator`: one that opens all of them. */
export async function readers({ page, open, recordingId, reader, operator }) {
  const tab = await open();
  const dialog = tab.getByRole('dialog');
  await tab.goto(recordingAt(page, recordingId));
  await dialog.getByLabel('Function key').fill(reader);
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#mode'), 'Reader');
  await shows(standing(tab), 'this key reads');
  for (const action of ['Hold', 'Verify']) assert.equal(await button(tab, action).count(), 0, action);
  assert.equal(await dialog.count(), 0, 'what the key opens is found out without a question');
  await saved(tab, () => button(tab, 'Evidence (ZIP)').click());
  await isAccessible(tab, 'a recording for a reader');
  await tab.getByRole('link', { name: 'Holds', exact: true }).click();
  await shows(tab.locator('#hold-list'), 'The retention policy applies');
  await shows(tab.locator('#hold-form'), 'this key reads');
  assert.equal(await tab.locator('#holds').getByRole('button').count(), 0, 'a reader makes and releases no hold');
  await isAccessible(tab, 'the holds for a reader');
  await tab.goBack();
  await shows(standing(tab), 'this key reads');
  await button(tab, 'Forget key').click();
  await dialog.getByLabel('Function key').fill(operator);
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#mode'), 'Operator');
  await button(standing(tab), 'Hold').waitFor();
}

/** What has the focus, by its name. */
const focused = (tab) => tab.evaluate(() => {
  const { activeElement: element } = document;
  return element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent.trim();
});

/** Goes on with a key until what has the focus has this name. It is in sight then. */
async function keyTo(tab, name, key = 'Tab') {
  for (let presses = 0; presses < 200; presses += 1) {
    await tab.keyboard.press(key);
    if (!name.test(await focused(tab))) continue;
    const isInSight = await tab.evaluate(() => {
      const { top, bottom } = document.activeElement.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    assert.ok(isInSight, `${name} has the focus out of sight`);
    return;
  }
  assert.fail(`no way by ${key} to ${name}; the focus is at ${await focused(tab)}`);
}

/** Every screen and its dialogs without a mouse. `recordingId`: the only recording; `sha256`: of an unreadable event. */
export async function keyboardOnly({ page, open, recordingId, sha256 }) {
  const tab = await open();
  const press = (key) => tab.keyboard.press(key);
  await tab.goto(page);
  await shows(tile(tab, 'verified'), /\d/);
  await shows(tab.locator('#mode'), 'Operator');
  await keyTo(tab, /Skip to the content/);
  await press('Enter');
  await keyTo(tab, /Verified/);
  await press('Enter');
  await tab.waitForURL(/state=verified/);
  await rows(tab).first().waitFor();
  // The list: select, hold what is selected.
  await keyTo(tab, /^Select (?!all)/);
  await press('Space');
  await shows(tab.locator('#selected-count'), '1 selected');
  await keyTo(tab, /^Hold$/, 'Shift+Tab');
  await press('Enter');
  await tab.getByRole('dialog').waitFor();
  await tab.keyboard.type('CASE-1');
  await press('Enter');
  await shows(tab.locator('#selection-outcome'), '1 held.');
  // A recording: verify, change one's mind, play.
  await tab.locator('#selection-outcome').waitFor();
  await keyTo(tab, /verified/i);
  await press('Enter');
  await tab.waitForURL(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await keyTo(tab, /^Verify/);
  await press('Enter');
  await shows(tab.getByRole('dialog'), 'Nothing is changed');
  await press('Escape');
  assert.match(await focused(tab), /^Verify/, 'the focus returns to the button');
  await press('Enter');
  await keyTo(tab, /^Verify$/);
  await press('Enter');
  await shows(tab.locator('#toasts'), 'the SHA-256 agrees');
  await keyTo(tab, /Position/);
  await press('End');
  await keyTo(tab, /Release CASE-1/);
  await press('Enter');
  await keyTo(tab, /^Release$/);
  await press('Enter');
  await shows(tab.locator('#toasts'), 'CASE-1 is released');
  // Search from anywhere.
  await tab.goto(page);
  await shows(tile(tab, 'verified'), /\d/);
  await press('/');
  assert.match(await focused(tab), /Search by/);
  await tab.keyboard.insertText(recordingId);
  await press('Enter');
  await tab.waitForURL(recordingAt(page, recordingId));
  // Unreadable events: look, dismiss.
  await press('Home');
  await keyTo(tab, /^Unreadable/, 'Shift+Tab');
  await press('Enter');
  await shows(tab.locator('#poison table'), sha256.slice(0, 8));
  await keyTo(tab, /^Show the event/);
  await press('Enter');
  await shows(tab.getByRole('dialog').locator('pre'), 'nothing');
  await press('Escape');
  await keyTo(tab, /^Dismiss the event/);
  await press('Enter');
  await tab.keyboard.type('a test event');
  await press('Enter');
  await shows(tab.locator('#toasts'), 'The event is dismissed');
}

/** `key`: the one the host wants. */
export async function keys({ page, open, key }) {
  const tab = await open();
  const dialog = tab.getByRole('dialog');
  const stored = () => tab.evaluate(() => sessionStorage.getItem('recording-vault.key'));
  await tab.goto(at(page, '#/recordings'));
  await shows(dialog, 'This vault asks for a function key');
  await isAccessible(tab, 'the question for the key');
  // Cancelled: no blank page, and nothing asks again by itself.
  await tab.keyboard.press('Escape');
  await shows(tab.getByRole('heading', { level: 1 }), 'The vault is locked');
  await tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await dialog.waitFor({ state: 'hidden' });
  await button(tab, 'Enter the function key').click();
  await dialog.getByLabel('Function key').fill('not it');
  await tab.keyboard.press('Enter');
  await shows(dialog, 'The host refuses this key');
  await dialog.getByLabel('Function key').fill(key);
  await tab.keyboard.press('Enter');
  await shows(tab.locator('#list-end'), 'Nothing has been recorded yet');
  assert.equal(await stored(), key);
  // Renewed in the meantime: a poll finds out.
  await tab.evaluate(() => sessionStorage.setItem('recording-vault.key', 'renewed'));
  await tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await shows(dialog, 'The host refuses this key');
  await dialog.getByLabel('Function key').fill(key);
  await tab.keyboard.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  await button(tab, 'Forget key').click();
  await shows(dialog, 'This vault asks for a function key');
  assert.equal(await stored(), null);
  // In the address: taken, and taken away.
  const other = await open();
  await other.goto(`${page}?code=${encodeURIComponent(key)}#/recordings`);
  await shows(other.locator('#list-end'), 'Nothing has been recorded yet');
  assert.equal(other.url(), at(page, '#/recordings'));
  assert.equal(await other.evaluate(() => history.length), 2, 'no earlier entry keeps the address with the key');
}

/** An empty vault says what to do next. */
export async function empty({ page, open }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tab.getByRole('heading', { level: 1 }), 'Nothing has been recorded yet');
  await shows(tab.locator('#welcome'), 'Microsoft.Communication.RecordingFileStatusUpdated');
  await isAccessible(tab, 'the empty overview');
  await tab.goto(at(page, '#/recordings'));
  await shows(tab.locator('#list-end'), 'Nothing has been recorded yet');
  await tab.goto(at(page, '#/poison'));
  await shows(tab.locator('#poison'), 'No unreadable event is open');
}

/** How many of the loaded rows the browser has laid out. Those of pages far from the window are skipped, so scrolling stays fluent. */
const laidOut = (tab) => tab.evaluate(async () => {
  const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
  await frame();
  await frame();
  return [...document.querySelectorAll('#pages .row')].filter((row) => row.checkVisibility({ contentVisibilityAuto: true })).length;
});

/** A window shows about 20 rows. A browser also lays out those a little above and below it, and it does so by pages of 100. */
const MOST_LAID_OUT = 400;

/** `count` recordings, far more than a window shows. */
export async function many({ page, open, count }) {
  const tab = await open();
  const lists = [];
  tab.on('request', (request) => { if (request.url().includes('/recordings?')) lists.push(request.url()); });
  await tab.goto(at(page, '#/recordings'));
  await rows(tab).first().waitFor();
  assert.equal(lists.length, 1, `the first rows take one request, not ${lists.join(', ')}`);
  const isLoaded = (wanted) => tab.waitForFunction((wanted) => document.querySelectorAll('#pages .row').length >= wanted, wanted);
  await isLoaded(100);
  await button(tab, 'Load more').focus();
  await tab.keyboard.press('Enter');
  await isLoaded(200);
  // Scrolling loads more, to the last; and the browser lays out no more rows than before.
  for (let loaded = await rows(tab).count(); loaded < count; loaded = await rows(tab).count()) {
    await tab.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await isLoaded(Math.min(count, loaded + 100));
  }
  await tab.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await shows(tab.locator('#list-count'), `${count.toLocaleString('en')} recordings`);
  for (const place of [0, 0.5, 1]) {
    await tab.evaluate((place) => scrollTo(0, document.documentElement.scrollHeight * place), place);
    const shown = await laidOut(tab);
    assert.ok(shown > 0 && shown <= MOST_LAID_OUT, `of ${count} rows ${shown} are laid out`);
  }
  // All of them at once: a list in a file, and a word on what is too much for a browser.
  await tab.evaluate(() => scrollTo(0, 0));
  await tab.getByLabel('Select all loaded recordings').check();
  await shows(tab.locator('#selected-count'), `${count.toLocaleString('en')} selected`);
  await button(tab, 'ZIP').click();
  await shows(tab.locator('#toasts'), 'the page saves at most 20');
  const csv = await saved(tab, () => button(tab, 'CSV').click());
  assert.equal(csv.bytes.toString('utf8').trim().split('\r\n').length, count + 1);
  await button(tab, 'Clear selection').click();
  // Into a recording and back: the list is as it was left.
  const row = rows(tab).nth(count - 5);
  await row.scrollIntoViewIfNeeded();
  const place = await tab.evaluate(() => scrollY);
  await row.getByRole('link').click();
  await shows(tab.locator('.detail-head'), 'Recording of');
  await tab.goBack();
  await tab.locator('#list').waitFor();
  assert.equal(await rows(tab).count(), count);
  assert.ok(Math.abs((await tab.evaluate(() => scrollY)) - place) < 600, 'the place in the list is kept');
  assert.match(await tab.evaluate(() => document.activeElement.id), /^row-/);
  await tab.keyboard.press('ArrowUp');
  assert.equal(await tab.evaluate(() => document.activeElement.dataset.index), String(count - 6));
}

/** What is not there, no longer there, or not to be reached is told, and the page never goes blank. */
export async function badInput({ page, open, recordingId }) {
  const tab = await open();
  await tab.goto(at(page, '#/recordings/nobody-knows-it'));
  await shows(tab.getByRole('heading', { level: 1 }), 'No account of this recording is known');
  await tab.goto(at(page, '#/recordings/%E0%A4%A'));
  await shows(tab.getByRole('heading', { level: 1 }), /No account of this recording is known|cannot be shown/);
  await tab.goto(at(page, '#/nothing/of/the/kind'));
  await shows(tab.getByRole('heading', { level: 1 }), NOTHING_WRONG);
  await tab.goto(at(page, '#/recordings?from=yesterday'));
  await shows(tab.locator('#list-end'), 'from');
  // Erased while somebody looks at it.
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await tab.route('**/vault/recordings/*', (route) => route.fulfill({ status: 410, contentType: 'application/json', body: JSON.stringify({ error: { code: 'RecordingErased', message: 'It was erased.' } }) }));
  await tab.getByRole('link', { name: 'Overview', exact: true }).click();
  await tab.goBack();
  await shows(tab.getByRole('heading', { level: 1 }), 'This recording was erased');
  await unroute(tab);
  // A newer version runs than the one this page is of.
  await tab.route('**/vault/summary', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), version: '99.0.0' } });
  });
  await poll(tab);
  await shows(tab.locator('#notices'), 'The vault now runs version 99.0.0');
  await unroute(tab);
  // Gone from the network, and back.
  await tab.goto(page);
  await shows(tab.getByRole('heading', { level: 1 }), NOTHING_WRONG);
  await tab.route('**/vault/**', (route) => route.abort());
  await tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await shows(tab.locator('#notices'), 'The vault cannot be reached');
  await shows(tab.getByRole('heading', { level: 1 }), NOTHING_WRONG);
  await unroute(tab);
  await poll(tab);
  await tab.getByText('The vault cannot be reached').waitFor({ state: 'detached' });
  // The view that failed meanwhile shows what it was asked for, without a click.
  await tab.route('**/vault/**', (route) => route.abort());
  await tab.goto(at(page, '#/recordings?q=zzz'));
  await shows(tab.locator('#list-end'), 'The vault cannot be reached');
  await unroute(tab);
  await poll(tab);
  await shows(tab.locator('#list-end'), 'No recording fits');
  // What is no answer of ours: a proxy's error page.
  await tab.route('**/vault/recordings?*', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad Gateway</h1>' }));
  await tab.goto(at(page, '#/recordings?q=a'));
  await shows(tab.locator('#list-end'), '502');
}

/** In a narrow window the header leaves room, and every control is large enough to be hit. */
async function fitsAThumb(tab, where, height) {
  const header = await tab.locator('header.top').evaluate((element) => element.getBoundingClientRect().height);
  assert.ok(header <= height * 0.15, `on ${where} the header is ${header} high in a window of ${height}`);
  const small = await tab.evaluate(() => [...document.querySelectorAll('button, .button, select, summary, input:not([type=checkbox]), .pick-box, nav a, .brand, td a, th a')]
    .map((element) => [element.getAttribute('aria-label') ?? element.textContent ?? element.id, element.getBoundingClientRect()])
    .filter(([name, { width, height }]) => width > 0 && height > 0 && (height < 44 || (/overview$/.test(name) && width < 44)))
    .map(([name, { height }]) => `${name}: ${height}`));
  assert.deepEqual(small, [], `too small on ${where}`);
  await button(tab, 'Menu').click();
  await tab.locator('#theme').waitFor();
  await tab.getByRole('link', { name: 'Holds', exact: true }).waitFor();
  await tab.keyboard.press('Escape');
  await tab.locator('#theme').waitFor({ state: 'hidden' });
}

/** Every view: for all, in both themes, narrow and wide, by keyboard, and on paper. */
export async function forEverybody({ page, open, recordingId }) {
  for (const [colorScheme, [width, height]] of ['light', 'dark'].flatMap((scheme) => SIZES.map((size) => [scheme, size]))) {
    const tab = await open({ colorScheme, viewport: { width, height }, reducedMotion: 'reduce' });
    for (const [hash, ready] of [['', '#days svg'], ['#/recordings', '#pages .row'], [`#/recordings/${encodeURIComponent(recordingId)}`, '.player'], ['#/holds', '#hold-list .blank'], ['#/poison', '#poison .blank']]) {
      await tab.goto(at(page, hash));
      await tab.locator(ready).first().waitFor();
      await isAccessible(tab, `${hash || 'the overview'}, ${colorScheme}, ${width} wide`);
      if (width === 390) await fitsAThumb(tab, hash || 'the overview', height);
    }
    await tab.context().close();
  }
  const tab = await open({ colorScheme: 'light' });
  await tab.goto(page);
  await shows(tile(tab, 'verified'), /\d/);
  // By keyboard alone: past the header, and into the list.
  await tab.keyboard.press('Tab');
  assert.equal(await tab.evaluate(() => document.activeElement.textContent), 'Skip to the content');
  const ground = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await button(tab, 'Theme: auto').click();
  await button(tab, 'Theme: light').click();
  assert.notEqual(await ground(), light);
  await tab.reload();
  await button(tab, 'Theme: dark').waitFor();
  assert.notEqual(await ground(), light);
  await button(tab, 'Times: local').click();
  await button(tab, 'Times: UTC').waitFor();
  // On paper a recording is one sheet, and light.
  await tab.goto(recordingAt(page, recordingId));
  await shows(standing(tab), 'The proved copy is in the vault at home');
  await tab.evaluate(() => { window.print = () => {}; });
  await button(tab, 'Print').click();
  const sheet = (await tab.pdf({ format: 'A4' })).toString('latin1');
  assert.equal(sheet.match(/\/Type\s*\/Page\b/g).length, 1, 'a recording is one sheet');
}
