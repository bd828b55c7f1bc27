// The overview's head: one sentence that says whether all is well, and the numbers behind it.

/** Which tiles there are: name, number, line below, where it leads, and whether more than none is bad. */
const TILES = [
  { group: 'On the way', tiles: [
    { id: 'active', name: 'Recording now', state: 'active', value: (t) => t.active, note: (t) => t.paused > 0 && `${number(t.paused)} paused` },
    { id: 'awaitingFiles', name: 'Awaiting files', state: 'awaitingFiles', value: (t) => t.awaitingFiles, note: () => 'ended' },
    { id: 'waiting', name: 'Waiting', state: 'waiting', value: (t) => t.waiting, note: () => 'recordings' },
    { id: 'exporting', name: 'Exporting', state: 'exporting', value: (t) => t.exporting, note: (t) => t.exporting > 0 && `${bytes(t.exportingBytesPerSecond)}/s` },
  ] },
  { group: 'Safe', tiles: [
    { id: 'verified', name: 'Verified', state: 'verified', value: (t) => t.verified.count, note: (t) => `chunks in ${t.verified.hours} h`, tone: 'good' },
    { id: 'held', name: 'Holds in force', value: (t) => t.held, note: () => 'deleted nowhere' },
  ] },
  { group: 'Needs somebody', tiles: [
    { id: 'atRisk', name: 'At risk', state: 'atRisk', value: (t) => t.atRisk, note: (t) => t.atRisk > 0 && t.nextDeadline && countdown(t.nextDeadline), tone: 'bad' },
    { id: 'failed', name: 'Failed', state: 'failed', value: (t) => t.failed, note: () => 'given up', tone: 'bad' },
    { id: 'incomplete', name: 'Incomplete', state: 'incomplete', value: (t) => t.incomplete, note: () => 'files missing', tone: 'bad' },
    { id: 'doubtful', name: 'Doubtful', state: 'doubtful', value: (t) => t.doubtful, note: () => 'look at the media', tone: 'warn' },
    { id: 'unknown', name: 'Unknown', state: 'unknown', value: (t) => t.unknown, note: () => 'not readable', tone: 'bad' },
    { id: 'missing', name: 'Missing', state: 'missing', value: (t) => t.missing, note: () => 'no file came', tone: 'bad' },
    { id: 'lost', name: 'Lost', state: 'lost', value: (t) => t.lost, note: () => 'dropped by ACS', tone: 'bad' },
    { id: 'poison', name: 'Unreadable', href: '#/poison', value: (t) => t.poison, note: () => 'events', tone: 'warn' },
  ] },
];

function tileGroups() {
  return TILES.map(({ group, tiles }) => h('section', { class: 'tile-group', 'aria-label': group },
    h('h2', null, group),
    h('ul', { class: 'tiles' }, tiles.map(tile))));
}

function tile({ id, name, state, href }) {
  const parts = [h('span', { class: 'tile-name' }, name), h('span', { class: 'tile-value', id: `tile-${id}` }, '–'), h('span', { class: 'tile-note', id: `tile-${id}-note` })];
  const target = href ?? (state && `#/recordings?state=${state}`);
  return h('li', { class: 'tile', id: `tile-${id}-box` }, target ? h('a', { href: target }, parts) : h('div', null, parts));
}

/** Writes new numbers into the tiles that stand there; focus and scroll stay. */
function updateTiles(tiles) {
  const isCapped = (id) => tiles.capped?.includes(id) || (id === 'verified' && tiles.verified.isCapped);
  for (const { id, value, note, tone } of TILES.flatMap((group) => group.tiles)) {
    const count = value(tiles);
    say($(`tile-${id}`), `${number(count)}${isCapped(id) ? '+' : ''}`);
    const text = note?.(tiles) || '';
    const line = $(`tile-${id}-note`);
    if (text instanceof Node) { if (line.firstChild?.dateTime !== text.dateTime) replace(line, text); } else say(line, text);
    $(`tile-${id}-box`).className = `tile ${count > 0 ? tone ?? '' : 'none'}`;
  }
}

/** How the verdict of the vault looks. */
const VERDICT = { safe: 'good', underWay: 'good', attention: 'bad', unknown: 'warn', noData: '' };

/** The verdict as the vault gives it; the page judges nothing by itself. */
function shownVerdict({ kind, headline, details, notChecked, check }) {
  const unchecked = notChecked.map((what) => `Not checked: ${what}.`);
  const checked = check ? [`Last complete check: ${dateTime(check.beganAt)}.`] : [];
  return { tone: VERDICT[kind] ?? 'warn', text: headline, more: [...details, ...unchecked, ...checked].map((sentence) => `${sentence} `) };
}

function updateVerdict(verdict) {
  const { tone, text, more } = shownVerdict(verdict);
  $('hero').className = `hero ${tone}`;
  const written = JSON.stringify([tone, text, more.map((part) => part?.dateTime ?? part)]);
  if ($('hero').dataset.written === written) return;
  $('hero').dataset.written = written;
  replace($('verdict'), icon({ good: 'check', '': 'record' }[tone] ?? 'alert'), h('span', null, text));
  replace($('verdict-more'), more);
}

function updateSweep({ lastSweep }) {
  const line = $('sweep');
  if (!lastSweep) return replace(line, 'No sweep yet. The timer runs with EXPORT_SWEEP_SCHEDULE.');
  const isLate = serverNow() - Date.parse(lastSweep.at) > 10 * MINUTE;
  line.classList.toggle('late', isLate);
  return replace(line, 'Last sweep ', countdown(lastSweep.at), `, took ${lastSweep.durationMs < 1000 ? `${lastSweep.durationMs} ms` : `${(lastSweep.durationMs / 1000).toFixed(1)} s`}`, isLate && '. Does the timer still run?');
}
