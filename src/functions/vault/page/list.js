// The list: filters that are kept in the address, pages that are asked for as one scrolls.

const PAGE = 200;
/** A page may be empty and still not be the last: so often the list asks on by itself. */
const ASK_ON = 8;
/** Back from a recording the list is as it was; from elsewhere only for so long. */
const LIST_IS_FRESH = 30_000;
const FILTERS = ['q', 'from', 'to', 'zone', 'state', 'marked', 'format', 'call', 'participant'];
/** The zone follows from the dates. */
const INPUTS = FILTERS.filter((name) => name !== 'zone');
/** Marks that the page looks for in the rows the vault gives it. */
const MARKS = {
  held: ['Held', (recording) => recording.held],
  doubtful: ['Doubtful media', (recording) => recording.doubtful],
  unsolicited: ['Unsolicited', (recording) => recording.unsolicited],
  notices: ['Silent or other notices', (recording) => recording.notices > 0],
};
const STATE_GROUPS = { 'Needs attention': ['lost', 'failed', 'atRisk', 'unknown', 'missing', 'incomplete', 'doubtful'], 'On the way': ['backupOnly', 'active', 'paused', 'awaitingFiles', 'exporting', 'waiting'], Settled: ['acknowledged', 'verified', 'inPlace', 'removed'] };
const list = { isBuilt: false, filters: null, rows: [], continuation: null, load: null, opened: null, scrollY: 0, loadedAt: 0, readAt: null, endSeen: null, notSearched: null };

function buildList() {
  list.isBuilt = true;
  const field = (name, label, control) => h('div', { class: `field ${name}` }, h('label', { for: `filter-${name}` }, label), control);
  const text = (name, hint) => h('input', { id: `filter-${name}`, name, type: name === 'q' ? 'search' : 'text', autocomplete: 'off', spellcheck: 'false', placeholder: hint });
  const date = (name) => h('input', { id: `filter-${name}`, name, type: 'date' });
  const choice = (name, any, options) => h('select', { id: `filter-${name}`, name }, h('option', { value: '' }, any), options.map(([value, shown]) => h('option', { value }, shown)));
  const states = () => h('select', { id: 'filter-state', name: 'state' }, h('option', { value: '' }, 'Any'), Object.entries(STATE_GROUPS).map(([label, names]) => h('optgroup', { label }, names.map((name) => h('option', { value: name }, status(name).name)))));
  const form = h('form', { id: 'filters', class: 'filters', 'aria-label': 'Filters' },
    field('q', 'Search', text('q', 'Id, or how it begins')),
    field('from', 'From', date('from')), field('to', 'To', date('to')),
    field('state', 'Standing', states()), field('marked', 'Marked', choice('marked', 'Any', Object.entries(MARKS).map(([value, [shown]]) => [value, shown]))),
    field('format', 'Format', choice('format', 'Any', [['mp4', 'MP4'], ['mp3', 'MP3'], ['wav', 'WAV']])),
    field('call', 'Call', text('call', 'Call id or server call id')),
    field('participant', 'Participant', text('participant', '8:acs:… or a phone number')),
    h('div', { class: 'field buttons' }, h('button', { type: 'submit', class: 'primary' }, 'Apply'), h('a', { href: '#/recordings', class: 'button quiet', id: 'clear' }, 'Clear'), button('Copy link to this view', copyLink, { kind: 'quiet', picture: 'copy' })));
  let waiting = null;
  const apply = (push) => { clearTimeout(waiting); setFilters(push); };
  form.addEventListener('submit', (event) => { event.preventDefault(); apply(true); });
  form.addEventListener('change', () => apply(true));
  form.addEventListener('input', (event) => {
    if (!['text', 'search'].includes(event.target.type)) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => apply(false), 400);
  });
  const columns = ['Standing', 'Started', 'Length', 'Call', 'People', 'Kind', 'Size', 'Notes'];
  replace($('recordings'),
    h('div', { class: 'list-head' }, h('h1', { id: 'list-title', tabindex: -1 }, 'Recordings'), h('p', { id: 'list-count', role: 'status' })),
    h('details', { class: 'filter-box', id: 'filter-box' }, h('summary', null, 'Filters'), form),
    selectionBar(),
    h('div', { class: 'list', id: 'list', role: 'table', 'aria-labelledby': 'list-title', 'aria-busy': 'false' },
      h('div', { class: 'list-columns', role: 'rowgroup' }, h('div', { class: 'row head', role: 'row' }, h('div', { role: 'columnheader', class: 'cell pick' }, pick({ id: 'select-all', 'aria-label': 'Select all loaded recordings', onchange: (event) => selectAll(event.target.checked) })), columns.map((name) => h('div', { role: 'columnheader' }, name)))),
      h('div', { id: 'pages', role: 'presentation' })),
    h('div', { class: 'list-end', id: 'list-end' }));
  const wide = matchMedia('(min-width: 900px)');
  const open = () => { $('filter-box').open = wide.matches; };
  wide.addEventListener('change', open);
  open();
  $('list').addEventListener('keydown', moveInList);
  $('pages').addEventListener('change', selectRow);
  list.endSeen = new IntersectionObserver((seen) => { if (seen.at(-1).isIntersecting && list.continuation && !list.load) loadMore(); }, { rootMargin: '600px' });
}

/** Writes the form into the address; the address is what is shown. */
function setFilters(push) {
  const values = Object.fromEntries(INPUTS.map((name) => [name, $(`filter-${name}`).value.trim()]));
  if (values.from || values.to) values.zone = list.zone;
  const text = parameters(values);
  const hash = `#/recordings${text ? `?${text}` : ''}`;
  if (hash === location.hash) return;
  if (push) location.hash = hash;
  else { history.replaceState(null, '', hash); route({ keepFocus: true }); }
}

/** What the vault is asked for: days become times, in the zone that the address names. */
function listQuery({ zone, from, to, marked, ...rest }) {
  const known = isZone(zone) ? zone : zoneName();
  const time = (day, start) => (day && isDay(day) ? startOfDay(start(day), known) : day);
  return { ...rest, from: time(from, (day) => day), to: time(to, nextDay) };
}

/** Dates are entered in the zone of the address, otherwise in the one that is chosen. */
function showZoneOfDates(zone) {
  list.zone = isZone(zone) ? zone : zoneName();
  for (const [name, label] of [['from', 'From'], ['to', 'To']]) say($('filters').querySelector(`[for=filter-${name}]`), `${label} (${list.zone})`);
}

/** The other zone is chosen: the same dates, in that zone. */
function changeZoneOfList() {
  const query = new URLSearchParams(list.filters ?? '');
  if (query.has('from') || query.has('to')) {
    query.set('zone', zoneName());
    history.replaceState(null, '', `#/recordings?${query}`);
    return route({ keepFocus: true });
  }
  return showZoneOfDates(null);
}

function showList(query) {
  if (!list.isBuilt) buildList();
  const filters = parameters(Object.fromEntries(FILTERS.map((name) => [name, query.get(name)])));
  showZoneOfDates(query.get('zone'));
  document.title = 'Recordings · Recording vault';
  const isFresh = list.opened || Date.now() - list.loadedAt < LIST_IS_FRESH;
  if (list.filters === filters && list.rows.length > 0 && isFresh) {
    scrollTo(0, list.scrollY);
    return list.opened && document.getElementById(`row-${list.opened}`)?.focus({ preventScroll: true });
  }
  list.filters = filters;
  for (const name of INPUTS) {
    const input = $(`filter-${name}`);
    if (input !== document.activeElement) input.value = query.get(name) ?? '';
  }
  $('clear').hidden = !filters;
  if (filters && INPUTS.slice(1).some((name) => query.get(name))) $('filter-box').dataset.active = 'yes';
  else delete $('filter-box').dataset.active;
  return reloadList();
}

function reloadList() {
  list.load?.abort();
  Object.assign(list, { rows: [], continuation: null, load: null, opened: null, loadedAt: Date.now(), readAt: null, notSearched: null });
  replace($('pages'));
  // The last count does not belong to this query.
  say($('list-count'), '');
  forgetSelected();
  showFreshness();
  return loadMore();
}

/** The next page, and on while pages are empty. */
async function loadMore() {
  const load = new AbortController();
  list.load = load;
  const before = list.rows.length;
  list.endSeen.disconnect();
  $('list').setAttribute('aria-busy', 'true');
  replace($('list-end'), h('p', { class: 'hint' }, 'Loading …'));
  try {
    for (let asked = 0; asked < ASK_ON; asked += 1) {
      const filters = Object.fromEntries(new URLSearchParams(list.filters));
      const query = parameters({ ...listQuery(filters), top: PAGE, continuation: list.continuation });
      const askedAt = serverNow();
      const { recordings, continuation, notSearched } = await request(`recordings?${query}`, { signal: load.signal });
      if (list.load !== load) return;
      // Of several pages, the first was read first.
      list.readAt ??= askedAt;
      list.continuation = continuation ?? null;
      list.notSearched = mergedSearch(list.notSearched, notSearched);
      const marked = recordings.filter(MARKS[filters.marked]?.[1] ?? (() => true));
      addRows(marked);
      if (marked.length > 0 || !list.continuation) break;
    }
    endOfList();
    showFreshness();
  } catch (error) {
    if (wasCancelled(error) || list.load !== load) return;
    replace($('list-end'), failure(error, loadMore));
    say($('list-count'), '');
  } finally {
    if (list.load === load) {
      list.load = null;
      $('list').setAttribute('aria-busy', 'false');
      // Where nothing was found, the operator decides whether to look further back.
      if (list.rows.length > before) list.endSeen.observe($('list-end'));
    }
  }
}

function addRows(recordings) {
  if (recordings.length === 0) return;
  // A page is a box of its own, which the browser lays out only when it comes into sight: ten thousand rows stay light.
  const page = h('div', { class: 'page', role: 'rowgroup' }, recordings.map((recording, index) => listRow(recording, list.rows.length + index)));
  page.style.setProperty('--rows', recordings.length);
  list.rows.push(...recordings);
  $('pages').append(page);
  updateSelection();
}

function listRow(recording, index) {
  const { recordingId, callId, startedAt, durationMs, sizeBytes, held, doubtful, unsolicited, notices, nextDeadline, participantIds = [] } = recording;
  const people = peopleCount(recording);
  const cell = (name, ...content) => h('div', { role: 'cell', class: `cell ${name}` }, content);
  const opens = h('a', { href: `#/${recordingPath(recordingId)}`, id: `row-${recordingId}`, 'data-index': index, 'aria-label': `${callId ?? recordingId}, ${startedAt ? dateTime(startedAt) : 'start not known'}, ${status(recording.status).name}` }, callId ?? recordingId);
  return h('div', { class: 'row', role: 'row' },
    cell('pick', pick({ 'data-select': index, 'aria-label': `Select ${callId ?? recordingId}${startedAt ? `, ${dateTime(startedAt)}` : ''}` })),
    cell('status', badge(recording.status)),
    cell('started', moment(startedAt)),
    cell('length', playTime(durationMs)),
    cell('call mono', opens),
    cell('people', participantIds.length > 0 ? peopleOfRow(recording) : people === 'unknown' ? h('abbr', { title: 'Unknown until exported: ACS names participants in the metadata' }, '–', h('span', { class: 'unseen' }, 'unknown until exported')) : people),
    cell('kind', kind(recording)),
    cell('size', bytes(sizeBytes)),
    cell('notes', held && h('span', { class: 'tag' }, icon('lock'), 'held'), doubtful && recording.status !== 'doubtful' && h('span', { class: 'tag warn' }, icon('alert'), 'doubtful'), unsolicited && h('span', { class: 'tag', title: 'Not started through this app' }, 'unsolicited'), notices > 0 && h('span', { class: 'tag' }, plural(notices, 'notice')), nextDeadline && h('span', { class: 'tag due' }, countdown(nextDeadline))));
}

/** The first participants by name, and how many there are. */
function peopleOfRow({ participantIds, participants }) {
  const more = participants - participantIds.length;
  const others = participants - 1;
  return h('span', { title: participantIds.join('\n') + (more > 0 ? `\nand ${number(more)} more` : '') },
    h('span', { class: 'mono' }, shortId(participantIds[0])), others > 0 && ` and ${plural(others, 'other')}`);
}

function endOfList() {
  const count = list.rows.length;
  const isMore = list.continuation !== null;
  say($('list-count'), count === 0 ? '' : `${number(count)}${isMore ? ' loaded, there are more' : count === 1 ? ' recording' : ' recordings'}${costOfList()}`);
  if (count === 0 && !isMore) return replace($('list-end'), emptyList(), notSearched());
  const reached = list.rows.at(-1)?.startedAt;
  if (!isMore) return replace($('list-end'), h('p', { class: 'hint' }, count > 10 ? 'No more recordings.' : ''), notSearched());
  return replace($('list-end'), count === 0 && h('p', null, 'Nothing found so far. Older recordings were not searched yet.'),
    button(count === 0 ? 'Search further back' : 'Load more', loadMore, { kind: 'primary', focus: 'more' }), reached && h('p', { class: 'hint' }, `Shown back to ${dateTime(reached)}.`));
}

/** What two pages of a search could not look into. */
function mergedSearch(known, other) {
  if (!known || !other) return known ?? other ?? null;
  const unreadableNames = [...new Set([...known.unreadableNames, ...other.unreadableNames])];
  const either = (name) => known[name] || other[name];
  return {
    unreadableNames,
    unreadable: unreadableNames.length,
    participantsUnknown: Math.max(known.participantsUnknown, other.participantsUnknown),
    isLowerBound: either('isLowerBound'),
    isCapped: either('isCapped'),
    namedByAnotherKey: either('namedByAnotherKey'),
    lacksCountry: either('lacksCountry'),
  };
}

/** What a search could not look into; nothing where it looked into everything. */
function searchGaps(found) {
  const { participantsUnknown = 0, unreadable = 0, isLowerBound = false, isCapped = false, namedByAnotherKey = false, lacksCountry = false } = found ?? {};
  const least = isLowerBound ? 'at least ' : '';
  return [
    (participantsUnknown > 0 || isLowerBound) && `${least}${plural(participantsUnknown, 'recording')} whose participants are not all known yet`,
    unreadable > 0 && `${least}${number(unreadable)} that cannot be read`,
    isCapped && 'recordings of a hold that covers more than one search reads',
    namedByAnotherKey && 'recordings that were named with another keys/person.json',
    lacksCountry && 'phone numbers (write one with its country, as +49 30 …)',
  ].filter(Boolean);
}

function notSearched() {
  const gaps = searchGaps(list.notSearched);
  return gaps.length === 0 ? null : h('p', { class: 'hint', id: 'not-searched' }, `Not searched: ${gaps.join('; ')}.`);
}

/** What those that are loaded cost, each by its kind. */
function costOfList() {
  const timed = list.rows.filter((recording) => recording.durationMs != null);
  if (timed.length === 0) return '';
  const total = timed.reduce((sum, recording) => sum + recordingPrice(recording), 0);
  const minutes = timed.reduce((sum, recording) => sum + recording.durationMs, 0) / MINUTE;
  return `; ${number(minutes)} minutes, about ${money(total)} at ACS's list prices`;
}

function emptyList() {
  if (!list.filters) {
    return h('div', { class: 'blank' }, h('h2', null, 'Nothing has been recorded yet'), h('p', null, 'Start a recording, and it appears here: ', h('code', null, 'POST /api/recordings'), '. The ', h('a', { href: '#/' }, 'overview'), ' names what else is needed.'));
  }
  const title = list.notSearched?.unreadable > 0 ? 'No recording that can be read fits' : 'No recording fits';
  return h('div', { class: 'blank' }, h('h2', null, title),
    h('p', null, 'Search finds recording and call ids by how they begin. Call and participant must be whole; a call is named by its call id or its server call id, a person by id or phone number in any spelling.'),
    h('p', null, h('a', { href: '#/recordings', class: 'button' }, 'Show all recordings')));
}

/** A checkbox with a large target. */
const pick = (attributes) => h('label', { class: 'pick-box' }, h('input', { type: 'checkbox', ...attributes }));

/** Arrow keys go from row to row. */
function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const index = Number(event.target.dataset?.index);
  if (!step || Number.isNaN(index)) return;
  const next = $('pages').querySelector(`[data-index="${index + step}"]`);
  if (!next) return;
  event.preventDefault();
  next.focus();
}
