// The beginning: which view the address names, what is asked for again and again, the tools of the header.

const POLL = 10_000;
const vault = { summary: null, polls: 0 };

/** `#/recordings/<id>`, `#/recordings?state=…`, `#/poison`, `#/` */
function readAddress() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, id] = path.split('/');
  if (view === 'recordings' && id) {
    try { return { view: 'recording', id: decodeURIComponent(id) }; } catch { return { view: 'recording', id }; }
  }
  return { view: ['recordings', 'poison'].includes(view) ? view : 'overview', query: new URLSearchParams(query) };
}

let current = null;
function route({ keepFocus = false } = {}) {
  if (isLocked) return;
  const { view, id, query } = readAddress();
  if (current === 'recordings' && view !== 'recordings') list.scrollY = scrollY;
  if (view === 'recording') list.opened = id;
  else leaveRecording();
  if (['overview', 'poison'].includes(view)) list.opened = null;
  const isNew = current !== view;
  current = view;
  for (const name of ['overview', 'recordings', 'recording', 'poison']) $(name).hidden = name !== view;
  const tab = view === 'recording' ? 'recordings' : view;
  for (const link of document.querySelectorAll('nav [data-view]')) {
    if (link.dataset.view === tab) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const show = { overview: showOverview, recordings: () => showList(query), recording: () => showRecording(id), poison: showPoison }[view];
  if (isNew && view !== 'recordings') scrollTo(0, 0);
  show();
  if (isNew && !keepFocus && vault.summary && !$(view).contains(document.activeElement)) $(view).querySelector('h1')?.focus({ preventScroll: true });
}

/** The numbers, every ten seconds while somebody looks. */
async function pollSummary({ quiet = true } = {}) {
  try {
    const summary = await request('summary', { quiet });
    clockAhead = Date.parse(summary.now) - Date.now();
    const couldAct = vault.summary?.actions;
    vault.summary = summary;
    notice('stale', '');
    showSummary(summary);
    if (couldAct !== summary.actions && shown.recording) updateRecording(shown.recording);
  } catch (error) {
    if (error.status === 401 && quiet && !isLocked && !asking) askForKey(key.get()).then((given) => given && pollSummary());
    else if (error.status !== 401) notice('stale', `${error.message}${vault.summary ? ` What you see is of ${clockSeconds(vault.summary.now)}.` : ''}`);
  }
}

function showSummary({ now, version, actions, tiles }) {
  const loaded = document.querySelector('meta[name=version]').content;
  if (version !== loaded) notice('version', `The vault runs version ${version} now, this page is of ${loaded}.`, button('Reload', () => location.reload(), { kind: 'primary' }));
  $('mode').hidden = false;
  say($('mode'), actions ? 'Actions on' : 'Read-only');
  $('mode').className = `mode ${actions ? 'on' : ''}`;
  $('mode').title = actions ? 'Retry, verify, hold, release and replay are switched on (OPERATOR_ACTIONS)' : 'OPERATOR_ACTIONS=on switches retry, verify, hold, release and replay on';
  $('poison-count').hidden = tiles.poison === 0;
  say($('poison-count'), number(tiles.poison));
  say($('freshness'), `As of ${clockSeconds(now)}, every 10 seconds anew. Days are days of UTC.`);
  say($('version'), `recording-vault ${version}`);
  if (current === 'overview') updateOverview(vault.summary);
}

/** Nobody looks at a hidden tab: it asks for nothing, and at once when it is seen again. */
function everyTick() {
  if (document.hidden || isLocked) return;
  vault.polls += 1;
  pollSummary();
  if (current === 'overview' && vault.polls % 3 === 0) loadDeadlines({ quiet: true });
  const isSettled = shown.recording && ['verified', 'removed', 'inPlace', 'erased', 'acknowledged', 'lost'].includes(shown.recording.status);
  if (current === 'recording' && shown.recording && !isSettled) refreshRecording({ quiet: true });
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
  });
  $('forget').hidden = !key.get();
  $('forget').addEventListener('click', forgetKey);
}

/** The other zone: what is shown is written anew. */
function rewriteTimes() {
  for (const page of $('pages')?.children ?? []) {
    for (const time of page.querySelectorAll('.started time')) { say(time, dateTime(time.dateTime)); time.title = exactTime(time.dateTime); }
  }
  if (shown.recording) updateRecording(shown.recording);
  if (vault.summary) showSummary(vault.summary);
  if (current === 'overview') loadDeadlines({ quiet: true });
  if (current === 'poison') showPoison();
}

function start() {
  current = null;
  pollSummary({ quiet: false }).then(() => { if (!vault.summary?.tiles) return; if (shown.recording) updateRecording(shown.recording); });
  route();
}

takeKeyFromAddress();
toolButtons();
addEventListener('hashchange', () => route());
addEventListener('unhandledrejection', (event) => toast(`Something in this page went wrong: ${event.reason?.message ?? event.reason}`, 'bad'));
$('find').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('find-text').value.trim();
  if (text) findCall(text);
});
addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest('input, select, textarea, dialog')) return;
  event.preventDefault();
  $('find-text').focus();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden && vault.summary) everyTick(); });
setInterval(everyTick, POLL);
setInterval(everySecond, 1000);
start();
