// Start: which view the address names, the polls, the tools of the header.

const POLL = 10_000;
/** Of App Service Authentication: it leads to Microsoft Entra, and then back. */
const SIGN_IN = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname)}`;
const vault = { summary: null, reading: new Reading(), polls: 0, isFailing: false };

/** `#/recordings/<id>`, `#/recordings?state=…`, `#/holds`, `#/poison`, `#/` */
function readAddress() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, id] = path.split('/');
  if (view === 'recordings' && id) {
    try { return { view: 'recording', id: decodeURIComponent(id) }; } catch { return { view: 'recording', id }; }
  }
  return { view: ['recordings', 'holds', 'poison'].includes(view) ? view : 'overview', query: new URLSearchParams(query) };
}

let current = null;
function route({ keepFocus = false } = {}) {
  if (isLocked) return;
  closeQuestion();
  closeMenu();
  const { view, id, query } = readAddress();
  if (current === 'recordings' && view !== 'recordings') list.scrollY = scrollY;
  if (view === 'recording') list.opened = id;
  else leaveRecording();
  if (['overview', 'holds', 'poison'].includes(view)) list.opened = null;
  const isNew = current !== view;
  current = view;
  noticeSelection();
  for (const name of VIEWS) $(name).hidden = name !== view;
  const tab = view === 'recording' ? 'recordings' : view;
  for (const link of document.querySelectorAll('nav [data-view]')) {
    if (link.dataset.view === tab) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const show = { overview: showOverview, recordings: () => showList(query), recording: () => showRecording(id), holds: showHolds, poison: showPoison }[view];
  if (isNew && view !== 'recordings') scrollTo(0, 0);
  show();
  showFreshness();
  if (document.activeElement !== $('find-text')) $('find-text').value = '';
  else keepFocus = true;
  if (isNew && !keepFocus && vault.summary && !$(view).contains(document.activeElement)) $(view).querySelector('h1')?.focus({ preventScroll: true });
}

/** The numbers, every ten seconds while the page is visible. */
async function pollSummary({ quiet = true } = {}) {
  const turn = vault.reading.begin();
  try {
    const summary = await request('summary', { quiet });
    if (!vault.reading.takes(turn)) return;
    clockAhead = Date.parse(summary.now) - Date.now();
    const couldAct = canAct();
    vault.summary = summary;
    notice('stale', '');
    showSummary(summary);
    if (vault.isFailing) recover();
    if (couldAct !== canAct()) showActions();
    if (summary.actions) readRights().then((isNew) => isNew && showActions());
  } catch (error) {
    if (turn < vault.reading.shown) return;
    vault.isFailing = true;
    if (error.code === 'SignInNeeded') notice('stale', error.message, h('a', { class: 'button', href: SIGN_IN }, 'Sign in'));
    else if (error.status === 401 && quiet && !isLocked && !asking) askForKey(key.get()).then((given) => given && pollSummary());
    else if (error.status !== 401) notice('stale', `${error.message}${vault.summary ? ` The numbers are of ${exactTime(vault.summary.now)}.` : ''}`);
  }
}

/** Numbers that were not renewed for so long are no news: a lost network is noticed late. */
const OUTDATED = 30_000;
const isOutdated = () => serverNow() - Date.parse(vault.summary.now) > OUTDATED;

/** Marks the numbers as outdated, also while a request is still waiting for its answer. */
function checkAge() {
  if (document.hidden || isLocked || !vault.summary || !isOutdated()) return;
  if (!$('notice-stale')) notice('stale', `The vault has not answered yet. The numbers are of ${exactTime(vault.summary.now)}.`);
  if (overview.isBuilt) updateVerdict(vault.summary.verdict);
}

/** Redraws every view with actions after a change of rights. */
function showActions() {
  showRights();
  if (shown.recording) updateRecording(shown.recording);
  if (list.isBuilt) updateSelection();
  if (current === 'holds') showHolds();
  if (current === 'poison') showPoison();
}

function showSummary({ version, tiles }) {
  const loaded = document.querySelector('meta[name=version]').content;
  if (version !== loaded) notice('version', `The vault now runs version ${version}; this page is of version ${loaded}.`, button('Reload', () => location.reload(), { kind: 'primary' }));
  showRights();
  $('poison-count').hidden = tiles.poison === 0;
  say($('poison-count'), number(tiles.poison));
  showFreshness();
  say($('version'), `recording-vault ${version}`);
  if (current === 'overview') updateOverview(vault.summary);
}

/** Views that are read again only on request. */
const READ_ON_REQUEST = {
  recordings: { readAt: () => list.readAt, again: () => reloadList() },
  holds: { readAt: () => holdReading.readAt, again: () => showHolds() },
  poison: { readAt: () => poisonReading.readAt, again: () => showPoison() },
};

/** When what the view shows was read, and how often it is read again. */
function freshness() {
  const onRequest = READ_ON_REQUEST[current];
  if (onRequest) return onRequest.readAt() ? `Read at ${exactTime(onRequest.readAt())}; not updated automatically.` : 'Not read yet.';
  if (current === 'recording') return shown.recording ? `As of ${exactTime(shown.reading.readAt)}; updated every ${isSettledShown() ? 'minute' : '10 seconds'}.` : '';
  return vault.summary ? `Numbers as of ${exactTime(vault.summary.now)}, updated every 10 seconds; deadlines, due recordings and days every 30 seconds.` : '';
}

function showFreshness() {
  const text = isLocked ? '' : freshness();
  const again = !isLocked && READ_ON_REQUEST[current]?.again;
  const written = JSON.stringify([text, again ? current : null]);
  if ($('freshness').dataset.written === written) return;
  $('freshness').dataset.written = written;
  replace($('freshness'), text, again && [' ', button('Reload', again, { kind: 'quiet', picture: 'refresh', focus: 'reload', label: 'Reload this view' })]);
}

/** A recording that is settled is read again every minute. */
const SETTLED_EVERY = 6;
const isSettledShown = () => ['verified', 'removed', 'inPlace', 'erased', 'acknowledged', 'lost'].includes(shown.recording?.status);

/** A hidden tab asks for nothing, and asks at once when it is visible again. */
function everyTick() {
  if (document.hidden || isLocked) return;
  vault.polls += 1;
  pollSummary();
  if (current === 'overview' && vault.polls % 3 === 0) refreshOverview();
  // What is settled may be held, removed or found missing.
  const isDue = !isSettledShown() || vault.polls % SETTLED_EVERY === 0;
  if (current === 'recording' && shown.recording && isDue) refreshRecording({ quiet: true });
}

function toolButtons() {
  const themes = ['auto', 'light', 'dark'];
  const showTheme = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    say($('theme'), { auto: 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark' }[theme]);
  };
  let theme = themes.includes(settings.read('theme')) ? settings.read('theme') : 'auto';
  showTheme(theme);
  $('theme').addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    settings.write('theme', theme);
    showTheme(theme);
  });
  const showZone = () => say($('zone'), inUtc ? 'Times: UTC' : 'Times: local');
  showZone();
  $('zone').removeAttribute('aria-label');
  $('zone').addEventListener('click', () => {
    inUtc = !inUtc;
    settings.write('zone', inUtc ? 'utc' : 'local');
    showZone();
    rewriteTimes();
    if (current === 'recordings') changeZoneOfList();
  });
  $('forget').hidden = !key.get();
  $('forget').addEventListener('click', forgetKey);
}

/** The other zone: every time shown is written again. */
function rewriteTimes() {
  for (const page of $('pages')?.children ?? []) {
    for (const time of page.querySelectorAll('.started time')) { say(time, dateTime(time.dateTime)); time.title = exactTime(time.dateTime); }
  }
  if (shown.recording) updateRecording(shown.recording);
  if (vault.summary) showSummary(vault.summary);
  if (current === 'overview') refreshOverview();
  if (current === 'holds') showHolds();
  if (current === 'poison') showPoison();
}

/** In a narrow window the tools are behind a button. */
function closeMenu() {
  $('tools').classList.remove('open');
  $('menu').setAttribute('aria-expanded', 'false');
}

function menuButton() {
  $('menu').addEventListener('click', () => {
    const isOpen = $('tools').classList.toggle('open');
    $('menu').setAttribute('aria-expanded', String(isOpen));
  });
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !$('tools').classList.contains('open')) return;
    closeMenu();
    $('menu').focus();
  });
}

function start() {
  current = null;
  pollSummary({ quiet: false }).then(() => { if (!vault.summary?.tiles) return; if (shown.recording) updateRecording(shown.recording); });
  route();
}

takeKeyFromAddress();
toolButtons();
menuButton();
searchBox();
addEventListener('hashchange', () => route());
// An action on selected recordings ends with the page: the browser asks first.
addEventListener('beforeunload', (event) => { if (selection.work) event.preventDefault(); });
addEventListener('unhandledrejection', (event) => toast(`An error in this page: ${event.reason?.message ?? event.reason}`, 'bad'));
document.addEventListener('visibilitychange', () => { if (!document.hidden && vault.summary) everyTick(); });
setInterval(everyTick, POLL);
setInterval(everySecond, 1000);
setInterval(checkAge, 1000);
start();
