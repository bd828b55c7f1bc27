// The overview: is all well, what is due, what was recorded, what did it cost.

const RANGES = [7, 30, 90];
const overview = { isBuilt: false, range: 30, days: [], areDaysKnown: false };

function buildOverview() {
  overview.isBuilt = true;
  replace($('overview'),
    h('div', { class: 'hero', id: 'hero' },
      h('div', { class: 'hero-head' },
        h('div', null, h('h1', { id: 'verdict', tabindex: -1 }, 'Looking …'), h('p', { id: 'verdict-more' })),
        h('p', { class: 'sweep', id: 'sweep' })),
      h('h2', { class: 'hero-title' }, 'What ACS drops in the next 24 hours, unless it is in the vault'),
      h('div', { id: 'horizon', class: 'horizon-box' })),
    h('div', { id: 'welcome' }),
    h('div', { class: 'tile-groups' }, tileGroups()),
    h('div', { class: 'columns' },
      h('section', { class: 'card wide', 'aria-labelledby': 'days-title' },
        h('div', { class: 'card-head' }, h('h2', { id: 'days-title' }, 'Recordings and minutes per day'), h('div', { class: 'segments', role: 'group', 'aria-label': 'Days shown' }, RANGES.map(rangeButton))),
        h('div', { id: 'days' }), h('div', { id: 'days-table' })),
      h('section', { class: 'card', 'aria-labelledby': 'cost-title' }, h('h2', { id: 'cost-title' }, 'What ACS charges for it'), h('div', { id: 'cost' }))));
  new ResizeObserver(drawDays).observe($('days'));
}

function rangeButton(range) {
  const choose = () => {
    overview.range = range;
    for (const other of $('overview').querySelectorAll('[data-range]')) other.setAttribute('aria-pressed', other.dataset.range === String(range));
    loadDays();
  };
  return h('button', { type: 'button', 'data-range': range, 'aria-pressed': range === overview.range ? 'true' : 'false', onclick: choose }, `${range} days`);
}

async function showOverview() {
  if (!overview.isBuilt) buildOverview();
  document.title = 'Recording vault';
  if (vault.summary) updateOverview(vault.summary);
  await Promise.all([loadDays(), loadDeadlines()]);
}

function updateOverview({ tiles, verdict }) {
  if (!overview.isBuilt) return;
  updateTiles(tiles);
  updateVerdict(verdict);
  updateSweep(tiles);
  updateWelcome();
}

async function loadDays() {
  const to = serverNow();
  const range = { from: isoDay(to - (overview.range - 1) * DAY), to: isoDay(to) };
  try {
    overview.days = (await request(`days?${parameters(range)}`)).days;
  } catch (error) {
    return replace($('days'), h('p', { class: 'blank' }, error.message, ' ', button('Try again', loadDays)));
  }
  $('days').dataset.width = '';
  drawDays();
  keepOpen($('days-table'), () => replace($('days-table'), dayTable(overview.days)));
  overview.areDaysKnown = true;
  drawCost();
  if (vault.summary) updateOverview(vault.summary);
  return undefined;
}

function drawDays() {
  const width = Math.floor($('days').clientWidth);
  if (width === 0 || overview.days.length === 0 || $('days').dataset.width === String(width)) return;
  $('days').dataset.width = width;
  replace($('days'), dayChart(overview.days, width));
}

async function loadDeadlines({ quiet = false } = {}) {
  try {
    const { deadlines, isCapped } = await request('deadlines?hours=24', { quiet });
    keepOpen($('horizon'), () => replace($('horizon'), horizon(deadlines, isCapped)));
  } catch (error) {
    if (!quiet) replace($('horizon'), h('p', { class: 'due-none' }, error.message, ' ', button('Try again', loadDeadlines)));
  }
}

/** Draws anew; what somebody has opened stays open, and where it was scrolled to. */
function keepOpen(box, draw) {
  const open = new Map([...box.querySelectorAll('details[open]')].map((details) => [details.dataset.keep, details.querySelector('.scroll')?.scrollTop ?? 0]));
  draw();
  for (const details of box.querySelectorAll('details')) {
    if (!open.has(details.dataset.keep)) continue;
    details.open = true;
    const scroll = details.querySelector('.scroll');
    if (scroll) scroll.scrollTop = open.get(details.dataset.keep);
  }
}

function isEmptyVault() {
  return vault.summary.verdict.kind === 'noData' && overview.areDaysKnown && overview.days.every((day) => day.recordings === 0);
}

/** An empty vault says what to do next, not nothing. */
function updateWelcome() {
  const isEmpty = isEmptyVault();
  $('overview').classList.toggle('is-empty', isEmpty);
  if (!isEmpty) return replace($('welcome'));
  if ($('welcome').childElementCount > 0) return undefined;
  return replace($('welcome'), h('section', { class: 'card welcome', 'aria-labelledby': 'welcome-title' },
    h('h2', { id: 'welcome-title' }, 'Nothing has been recorded yet'),
    h('p', null, 'The vault runs and waits. Three things bring in the first recording:'),
    h('ol', null,
      h('li', null, 'An Event Grid subscription on the ACS resource for ', h('code', null, 'Microsoft.Communication.RecordingFileStatusUpdated'), ', with the function ', h('code', null, 'RecordingFileStatusUpdated'), ' as its endpoint.'),
      h('li', null, 'A recording: ', h('code', null, 'POST /api/recordings'), ' with ', h('code', null, '{"serverCallId": "…"}'), ', or the setting ', h('code', null, 'AUTO_RECORD=all'), '.'),
      h('li', null, 'A few minutes after the call has ended, ACS announces the files, and they appear here, proved.'))));
}
