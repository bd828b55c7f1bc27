// Scenarios of the operator's page, one function each. They find elements as a person does: by role and by name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const at = (page, hash) => `${page}${hash}`;
const recordingAt = (page, id) => at(page, `#/recordings/${encodeURIComponent(id)}`);
const rows = (tab) => tab.locator('#pages .row');
const button = (tab, name) => tab.getByRole('button', { name });
const tile = (tab, id) => tab.locator(`#tile-${id}`);

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

/** Triggers the next poll without waiting for it, as when a person returns to the tab. */
const poll = (tab) => Promise.all([
  tab.waitForResponse((response) => response.url().endsWith('/summary')),
  tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))),
]);

/** Nothing that axe calls serious, and nothing wider than the window. */
async function isAccessible(tab, where) {
  const client = await tab.context().newCDPSession(tab);
  // Through the debugger: the page's policy blocks foreign scripts.
  await client.send('Runtime.evaluate', { expression: axe });
  const { result } = await client.send('Runtime.evaluate', { expression: 'axe.run().then((found) => JSON.stringify(found.violations))', awaitPromise: true, returnByValue: true });
  const serious = JSON.parse(result.value).filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.slice(0, 3).map((node) => `  ${node.html} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(told, [], `on ${where}`);
  const [wide, window] = await tab.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= window, `${where} is ${wide} wide in a window of ${window}`);
}

/** The overview shows the summary, with links. `verified`: how many chunks; `doubtful`: a recording to open. */
export async function overview({ page, open, verified }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tile(tab, 'verified'), String(verified));
  await shows(tab.getByRole('heading', { level: 1 }), 'Everything recorded is safe');
  await shows(tab.locator('#horizon'), 'Nothing is due');
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
  await tab.getByLabel('Format').selectOption('wav');
  await shows(tab.locator('#list-count'), `${wav} recording`);
  assert.match(tab.url(), /format=wav/);
  await tab.goBack();
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  assert.equal(await tab.getByLabel('Format').inputValue(), '');
  await tab.getByLabel('Participant', { exact: true }).fill(participant);
  await shows(tab.locator('#list-count'), '1 recording');
  await tab.getByRole('link', { name: 'Clear' }).click();
  await tab.getByLabel('Search', { exact: true }).fill('no such thing');
  await shows(tab.locator('#list-end'), 'No recording fits');
  await tab.getByRole('link', { name: 'Show all recordings' }).click();
  await shows(tab.locator('#list-count'), `${recordings} recordings`);
  await tab.getByLabel('From').fill('2020-01-01');
  await tab.getByLabel('To').fill('2020-01-02');
  await shows(tab.locator('#list-end'), 'No recording fits');
  // Where is that call? Ten seconds are what an operator has on the telephone.
  const asked = Date.now();
  await tab.keyboard.press('Escape');
  await tab.locator('h1').first().click();
  await tab.keyboard.press('/');
  await tab.keyboard.insertText(callId);
  await tab.keyboard.press('Enter');
  await tab.waitForURL(recordingAt(page, recordingId));
  await shows(tab.locator('.detail-head'), 'Every file is in the vault');
  assert.ok(Date.now() - asked < 10_000);
  await tab.goBack();
  await tab.waitForURL(/from=2020/);
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

/** An expired ticket is replaced once; a further failure is reported, with a next step. */
export async function mediaFails({ page, open, recordingId }) {
  const tab = await open();
  let tickets = 0;
  tab.on('request', (request) => { tickets += request.url().endsWith('/ticket') ? 1 : 0; });
  const expired = { status: 403, contentType: 'application/json', body: JSON.stringify({ error: { code: 'TicketExpired', message: 'This ticket has expired; ask for a new one.' } }) };
  await tab.route('**/play/**', (route) => route.fulfill(expired));
  await tab.goto(recordingAt(page, recordingId));
  await shows(tab.locator('.player-message'), 'This ticket has expired');
  assert.equal(tickets, 2);
  await tab.unroute('**/play/**');
  await tab.locator('.player-message').getByRole('button', { name: 'Try again' }).click();
  await tab.waitForFunction(() => document.querySelector('audio').readyState > 0);
  await tab.locator('.player-message').waitFor({ state: 'hidden' });
}

/** `failedId`: a recording with a chunk that was given up. */
export async function retry({ page, open, failedId }) {
  const tab = await open();
  await tab.goto(page);
  await shows(tab.getByRole('heading', { level: 1 }), 'Somebody has to look');
  await tab.getByRole('link', { name: /Failed/ }).click();
  await rows(tab).getByRole('link').first().click();
  await tab.waitForURL(recordingAt(page, failedId));
  const again = button(tab, 'Retry chunk 0');
  await again.click();
  const dialog = tab.getByRole('dialog');
  await shows(dialog, 'Nothing is deleted');
  // Escape changes nothing, and gives the focus back.
  await tab.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await tab.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Retry chunk 0');
  await again.click();
  await dialog.getByRole('button', { name: 'Retry' }).click();
  await shows(tab.locator('#toasts'), 'is opened again');
  await shows(tab.locator('.chunk-state'), 'waits for its export');
}

/** `recordingId`: one in the vault. */
export async function hold({ page, open, recordingId }) {
  const tab = await open();
  await tab.goto(recordingAt(page, recordingId));
  await button(tab, 'Verify chunk 0').click();
  const dialog = tab.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Verify' }).click();
  await shows(tab.locator('.checked'), 'the SHA-256 agrees');
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
  await tab.keyboard.press('Enter');
  await shows(tab.locator('.holds'), 'CASE-7');
  await shows(tab.locator('.holds'), '<img src=x');
  await shows(tab.locator('.detail-head'), 'held');
  await button(tab, 'Release CASE-7').click();
  await shows(dialog, 'cannot be brought back');
  await dialog.getByRole('button', { name: 'Release' }).click();
  await shows(tab.locator('#toasts'), 'CASE-7 is released');
  await tab.locator('.holds').waitFor({ state: 'detached' });
}

/** `sha256`: of an event that cannot be read. */
export async function replay({ page, open, sha256 }) {
  const tab = await open();
  await tab.goto(page);
  await tab.getByRole('navigation').getByRole('link', { name: /Unreadable/ }).click();
  await shows(tab.locator('#poison table'), sha256.slice(0, 8));
  await tab.locator('#poison').getByRole('button', { name: /Replay/ }).click();
  await tab.getByRole('dialog').getByRole('button', { name: 'Replay' }).click();
  await shows(tab.locator('#toasts'), /Still not readable|announced/);
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
  await shows(tab.getByRole('heading', { level: 1 }), 'Ready for the first recording');
  await shows(tab.locator('#welcome'), 'Microsoft.Communication.RecordingFileStatusUpdated');
  await isAccessible(tab, 'the empty overview');
  await tab.goto(at(page, '#/recordings'));
  await shows(tab.locator('#list-end'), 'Nothing has been recorded yet');
  await tab.goto(at(page, '#/poison'));
  await shows(tab.locator('#poison'), 'Every event that came could be read');
}

/** `count` recordings, far more than a window shows. */
export async function many({ page, open, count }) {
  const tab = await open();
  const begun = Date.now();
  await tab.goto(at(page, '#/recordings'));
  await rows(tab).first().waitFor();
  assert.ok(Date.now() - begun < 15_000, `the first rows took ${Date.now() - begun} ms`);
  const isLoaded = (wanted) => tab.waitForFunction((wanted) => document.querySelectorAll('#pages .row').length >= wanted, wanted);
  await isLoaded(100);
  await button(tab, 'Load more').focus();
  await tab.keyboard.press('Enter');
  await isLoaded(200);
  // Scrolling loads more, to the last; and the page stays as fast as before.
  for (let loaded = await rows(tab).count(); loaded < count; loaded = await rows(tab).count()) {
    await tab.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await isLoaded(Math.min(count, loaded + 100));
  }
  await tab.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await shows(tab.locator('#list-count'), `${count.toLocaleString('en')} recordings`);
  const frames = await tab.evaluate(async () => {
    const times = [];
    const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
    for (let step = 0; step < 20; step += 1) {
      const from = performance.now();
      scrollTo(0, (document.documentElement.scrollHeight / 20) * step);
      await frame();
      await frame();
      times.push(performance.now() - from);
    }
    return times.sort((one, other) => one - other);
  });
  assert.ok(frames[10] < 500, `a jump through ${count} rows takes ${frames[10]} ms`);
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

/** The page reports what is missing, gone or unreachable, and never goes blank. */
export async function badInput({ page, open, recordingId }) {
  const tab = await open();
  await tab.goto(at(page, '#/recordings/nobody-knows-it'));
  await shows(tab.getByRole('heading', { level: 1 }), 'There is no such recording');
  await tab.goto(at(page, '#/recordings/%E0%A4%A'));
  await shows(tab.getByRole('heading', { level: 1 }), /There is no such recording|cannot be shown/);
  await tab.goto(at(page, '#/nothing/of/the/kind'));
  await shows(tab.getByRole('heading', { level: 1 }), 'Everything recorded is safe');
  await tab.goto(at(page, '#/recordings?from=yesterday'));
  await shows(tab.locator('#list-end'), 'from');
  // Erased while it is open.
  await tab.goto(recordingAt(page, recordingId));
  await shows(tab.locator('.detail-head'), 'Every file is in the vault');
  await tab.route('**/vault/recordings/*', (route) => route.fulfill({ status: 410, contentType: 'application/json', body: JSON.stringify({ error: { code: 'RecordingErased', message: 'It was erased.' } }) }));
  await tab.getByRole('link', { name: 'Overview', exact: true }).click();
  await tab.goBack();
  await shows(tab.getByRole('heading', { level: 1 }), 'This recording was erased');
  await tab.unroute('**/vault/recordings/*');
  // A newer version runs than the one this page is of.
  await tab.route('**/vault/summary', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), version: '99.0.0' } });
  });
  await poll(tab);
  await shows(tab.locator('#notices'), 'The vault runs version 99.0.0 now');
  await tab.unroute('**/vault/summary');
  // Gone from the network, and back.
  await tab.goto(page);
  await shows(tab.getByRole('heading', { level: 1 }), 'Everything recorded is safe');
  await tab.route('**/vault/**', (route) => route.abort());
  await tab.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await shows(tab.locator('#notices'), 'The vault cannot be reached');
  await shows(tab.getByRole('heading', { level: 1 }), 'Everything recorded is safe');
  await tab.unroute('**/vault/**');
  await poll(tab);
  await tab.getByText('The vault cannot be reached').waitFor({ state: 'detached' });
  // A response that is not ours: a proxy's error page.
  await tab.route('**/vault/recordings?*', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad Gateway</h1>' }));
  await tab.goto(at(page, '#/recordings?q=a'));
  await shows(tab.locator('#list-end'), '502');
}

/** Every view: for all, in both themes, narrow and wide, by keyboard, and on paper. */
export async function forEverybody({ page, open, recordingId }) {
  for (const [colorScheme, width] of [['light', 1360], ['dark', 360]]) {
    const tab = await open({ colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
    for (const [hash, ready] of [['', '#days svg'], ['#/recordings', '#pages .row'], [`#/recordings/${encodeURIComponent(recordingId)}`, '.player'], ['#/poison', '#poison .blank']]) {
      await tab.goto(at(page, hash));
      await tab.locator(ready).first().waitFor();
      await isAccessible(tab, `${hash || 'the overview'}, ${colorScheme}, ${width} wide`);
    }
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
  await shows(tab.locator('.detail-head'), 'Every file is in the vault');
  await tab.evaluate(() => { window.print = () => {}; });
  await button(tab, 'Evidence sheet').click();
  const sheet = (await tab.pdf({ format: 'A4' })).toString('latin1');
  assert.equal(sheet.match(/\/Type\s*\/Page\b/g).length, 1, 'the evidence is one sheet');
}
