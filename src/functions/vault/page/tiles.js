// The overview's head: the vault's verdict, one tile per standing, and the health of sweep and storage.

const recordingsText = () => 'recordings';

/** Which tiles there are: the standing that a tile counts and leads to, or a number of its own. */
const TILES = [
  { group: 'Needs attention', tiles: [
    { id: 'lost', note: () => 'dropped by ACS' },
    { id: 'failed', note: () => 'given up' },
    { id: 'atRisk', note: (t) => t.atRisk > 0 && t.nextDeadline && countdown(t.nextDeadline) },
    { id: 'unknown', note: () => 'not readable' },
    { id: 'missing', note: () => 'no file announced' },
    { id: 'incomplete', note: () => 'files missing' },
    { id: 'doubtful', note: () => 'check the media' },
    { id: 'poison', name: 'Unreadable', tone: 'warn', href: '#/poison', note: () => 'events' },
  ] },
  { group: 'On the way', tiles: [
    { id: 'active', note: recordingsText },
    { id: 'paused', note: recordingsText },
    { id: 'awaitingFiles', note: () => 'ended' },
    { id: 'waiting', note: recordingsText },
    { id: 'exporting', note: (t) => t.exporting > 0 && `${bytes(t.exportingBytesPerSecond)}/s` },
    { id: 'backupOnly', note: recordingsText },
  ] },
  { group: 'Safe', tiles: [
    { id: 'verified', tone: 'good', value: (t) => t.verified.count, note: (t) => `chunks in ${t.verified.hours} h` },
    { id: 'acknowledged', note: () => 'losses' },
    { id: 'held', name: 'Holds', href: '#/holds', note: () => 'in force' },
  ] },
];

/** Standings that grow without end are listed and not counted. */
const UNCOUNTED = ['verified', 'inPlace', 'removed'];

function tileGroups() {
  return TILES.map(({ group, tiles }) => h('section', { class: 'tile-group', 'aria-label': group },
    h('h2', null, group),
    h('ul', { class: 'tiles' }, tiles.map(tile)),
    group === 'Safe' && h('p', { class: 'hint' }, 'Lists without a count: ', UNCOUNTED.map((state, index) => [index > 0 && ', ', h('a', { href: `#/recordings?state=${state}` }, status(state).name.toLowerCase())]), '.')));
}

function tile({ id, name, href }) {
  const parts = [h('span', { class: 'tile-name' }, name ?? status(id).name), h('span', { class: 'tile-value', id: `tile-${id}` }, '–'), h('span', { class: 'tile-note', id: `tile-${id}-note` })];
  return h('li', { class: 'tile', id: `tile-${id}-box` }, h('a', { href: href ?? `#/recordings?state=${id}` }, parts));
}

/** Writes new numbers into the tiles; focus and scroll stay. */
function updateTiles(tiles) {
  const isCapped = (id) => tiles.capped?.includes(id) || (id === 'verified' && tiles.verified.isCapped);
  for (const { id, value, note, tone = status(id).tone } of TILES.flatMap((group) => group.tiles)) {
    const count = value ? value(tiles) : tiles[id];
    say($(`tile-${id}`), `${number(count)}${isCapped(id) ? '+' : ''}`);
    const text = note(tiles) || '';
    const line = $(`tile-${id}-note`);
    if (text instanceof Node) { if (line.firstChild?.dateTime !== text.dateTime) replace(line, text); } else say(line, text);
    $(`tile-${id}-box`).className = `tile ${count > 0 ? tone : isCapped(id) ? 'warn' : 'none'}`;
  }
}

const VERDICT_TONES = { safe: 'good', underWay: 'good', attention: 'bad', unknown: 'warn', noData: '' };

/** The verdict as the vault gives it: the page judges nothing itself. */
function updateVerdict({ kind, headline, details, notChecked, asOf }) {
  const tone = isOutdated() ? 'warn' : VERDICT_TONES[kind] ?? 'warn';
  $('hero').className = `hero ${tone}`;
  say($('verdict-as-of'), isOutdated() ? `Outdated: as of ${exactTime(asOf)}. The vault has not answered since.` : `As of ${exactTime(asOf)}.`);
  const written = JSON.stringify([tone, kind, headline, details, notChecked, inUtc]);
  if ($('hero').dataset.written === written) return;
  $('hero').dataset.written = written;
  replace($('verdict'), icon({ good: 'check', '': 'record' }[tone] ?? 'alert'), h('span', null, headline));
  replace($('verdict-more'), details.map((detail) => h('li', null, withMoments(sentence(detail)))), notChecked.map((what) => h('li', null, h('b', null, 'Not checked: '), withMoments(`${what}.`))));
}

/** Codes of the verdict: the timer does not run as it should. How late is too late depends on its schedule. */
const TIMER_CODES = ['sweepLate', 'timerLate'];

/** Sweep and storage, as far as the vault looked: what was not checked is named so. */
function healthRows({ verdict, tiles, host }) {
  const { lastSweep } = tiles;
  const { check } = verdict;
  const isLate = lastSweep && TIMER_CODES.some((code) => verdict.codes.includes(code));
  const took = lastSweep && (lastSweep.durationMs < 1000 ? `${lastSweep.durationMs} ms` : `${(lastSweep.durationMs / 1000).toFixed(1)} s`);
  return [
    ['Sweep', lastSweep ? [h('span', { class: isLate ? 'bad-text' : null }, 'last ', countdown(lastSweep.at)), `, took ${took}`, isLate && (isPast(lastSweep.at) ? '. Check that the timer runs.' : '. Check the clocks.')] : 'none has ended yet; the timer runs with EXPORT_SWEEP_SCHEDULE'],
    ['Ledger', ['readable as of ', moment(verdict.asOf, exactTime)]],
    ['Vault', check
      ? [`${plural(check.files, 'file')} compared with their receipts, `, h('span', { class: check.findings > 0 ? 'bad-text' : null }, plural(check.findings, 'finding')), ', as of ', moment(check.beganAt)]
      : 'not checked: no complete check has ended yet'],
    ['Recordings', check ? [`${plural(check.recordings, 'recording')} and ${plural(check.chunks, 'chunk')} in the last complete check, which ended `, countdown(check.finishedAt)] : 'not checked'],
    ['Host', host ?? 'unknown'],
  ];
}

function updateHealth(summary) {
  const rows = healthRows(summary);
  const written = JSON.stringify([inUtc, summary.tiles.lastSweep, summary.verdict.codes, summary.verdict.check, summary.verdict.asOf.slice(0, 16)]);
  if ($('health').dataset.written === written) return;
  $('health').dataset.written = written;
  replace($('health'), facts(...rows));
}
