// The overview: verdict, deadlines, tiles, what is due, the calendar, health, what was recorded and what ACS charges.

const RANGES = [7, 30, 90];
const overview = { isBuilt: false, range: 30, days: [], notChecked: [], lost: null, areDaysKnown: false, deadlines: new Reading() };

function buildOverview() {
  overview.isBuilt = true;
  replace($('overview'),
    h('div', { class: 'hero', id: 'hero' },
      h('div', { class: 'hero-head' },
        h('div', null, h('h1', { id: 'verdict', tabindex: -1 }, 'Checking …'), h('ul', { id: 'verdict-more' })),
        h('p', { class: 'sweep', id: 'verdict-as-of' })),
      h('h2', { class: 'hero-title' }, 'Files that wait for their export, by when ACS drops them in the next 24 hours'),
      h('div', { id: 'horizon', class: 'horizon-box' })),
    h('div', { id: 'welcome' }),
    h('div', { class: 'tile-groups' }, tileGroups()),
    h('section', { class: 'card due-card', 'aria-labelledby': 'due-title' }, h('h2', { id: 'due-title' }, 'Needs attention or is due'), h('div', { id: 'due' }, h('p', { class: 'hint' }, 'Loading …'))),
    h('div', { class: 'columns' },
      h('section', { class: 'card', 'aria-labelledby': 'calendar-title' },
        h('div', { class: 'card-head' }, h('h2', { id: 'calendar-title' }, 'Completeness by day'), h('div', { class: 'segments', role: 'group', 'aria-label': 'Days shown' }, RANGES.map(rangeButton))),
        h('div', { id: 'calendar' })),
      h('section', { class: 'card', 'aria-labelledby': 'health-title' }, h('h2', { id: 'health-title' }, 'Health of sweep and storage'), h('div', { id: 'health' })),
      h('section', { class: 'card', 'aria-labelledby': 'days-title' },
        h('h2', { id: 'days-title' }, 'Recordings and minutes per day'),
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
  await Promise.all([loadDays(), loadDeadlines(), due.found && loadDue({ quiet: true })]);
}

function updateOverview(summary) {
  if (!overview.isBuilt) return;
  updateTiles(summary.tiles);
  updateVerdict(summary.verdict);
  updateHealth(summary);
  updateWelcome();
  if (!due.found) loadDue({ quiet: true });
}

/** What the poll of the numbers does not bring: deadlines, due recordings and days. */
function refreshOverview() {
  loadDeadlines({ quiet: true });
  loadDue({ quiet: true });
  loadDays({ quiet: true });
}

async function loadDays({ quiet = false } = {}) {
  const to = serverNow();
  const range = { from: isoDay(to - (overview.range - 1) * DAY), to: isoDay(to) };
  try {
    const { days, notChecked } = await request(`days?${parameters(range)}`, { quiet });
    Object.assign(overview, { days, notChecked });
  } catch (error) {
    // Days that cannot be looked at are not called complete.
    overview.lost = null;
    if (quiet && overview.areDaysKnown) return drawCalendar();
    return replace($('calendar'), failure(error, loadDays));
  }
  overview.lost = await lostByDay(range).catch(() => null);
  $('days').dataset.width = '';
  drawCalendar();
  drawDays();
  keepOpen($('days-table'), () => replace($('days-table'), dayTable(overview.days)));
  overview.areDaysKnown = true;
  if (!quiet) drawCost();
  if (vault.summary) updateOverview(vault.summary);
  return undefined;
}

const drawCalendar = () => replace($('calendar'), calendar(overview.days, overview.lost, overview.notChecked));

function drawDays() {
  const width = Math.floor($('days').clientWidth);
  if (width === 0 || overview.days.length === 0 || $('days').dataset.width === String(width)) return;
  $('days').dataset.width = width;
  replace($('days'), dayChart(overview.days, width));
}

async function loadDeadlines({ quiet = false } = {}) {
  const turn = overview.deadlines.begin();
  try {
    const found = await request('deadlines?hours=24', { quiet });
    if (overview.deadlines.takes(turn)) keepOpen($('horizon'), () => replace($('horizon'), horizon(found)));
  } catch (error) {
    if (quiet && overview.deadlines.readAt) overview.deadlines.isOutdated(turn, $('horizon'), error);
    else {
      overview.deadlines.forget();
      replace($('horizon'), failure(error, loadDeadlines, { className: 'due-none' }));
    }
  }
}

/** Draws again; what is open stays open, and where it was scrolled to. */
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

/** An empty vault shows what to do next. */
function updateWelcome() {
  const isEmpty = isEmptyVault();
  $('overview').classList.toggle('is-empty', isEmpty);
  if (!isEmpty) return replace($('welcome'));
  if ($('welcome').childElementCount > 0) return undefined;
  return replace($('welcome'), h('section', { class: 'card welcome', 'aria-labelledby': 'welcome-title' },
    h('h2', { id: 'welcome-title' }, 'Nothing has been recorded yet'),
    h('p', null, 'Ledger and vault are empty. If there were recordings before, ', h('code', null, 'LEDGER_URL'), ' or ', h('code', null, 'VAULT_URL'), ' names another place than before. The first recording needs three things:'),
    h('ol', null,
      h('li', null, 'An Event Grid subscription on the ACS resource for ', h('code', null, 'Microsoft.Communication.RecordingFileStatusUpdated'), ', with the function ', h('code', null, 'RecordingFileStatusUpdated'), ' as its endpoint.'),
      h('li', null, 'A recording: ', h('code', null, 'POST /api/recordings'), ' with ', h('code', null, '{"serverCallId": "…"}'), ', or the setting ', h('code', null, 'AUTO_RECORD=all'), '.'),
      h('li', null, 'The end of the call: a few minutes later ACS announces the files, and they appear here with their proof.'))));
}
