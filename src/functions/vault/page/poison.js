// Events that could not be read: kept whole, to be looked at, replayed when the cause is fixed, or dismissed with a reason.

const poisonReading = new Reading();

async function showPoison() {
  document.title = 'Unreadable events · Recording vault';
  const title = h('h1', { tabindex: -1 }, 'Unreadable events');
  const intro = h('p', { class: 'intro' }, 'The vault could not read these events. Each was confirmed to Event Grid so that it is not repeated, and is kept whole for POISON_RETENTION. Fix the cause and replay it, or dismiss it with a reason.');
  if ($('poison').childElementCount === 0) replace($('poison'), title, intro, h('p', { class: 'hint' }, 'Loading …'));
  const turn = poisonReading.begin();
  try {
    const { poison, isCapped, total, isTotalCapped } = await request('poison');
    if (!poisonReading.takes(turn)) return;
    const table = () => [poisonTable(poison), isCapped && h('p', { class: 'hint' }, `${number(poison.length)} of ${number(total)}${isTotalCapped ? ' or more' : ''} are shown, in no order of time among all. The others are shown as these are replayed or dismissed.`)];
    replace($('poison'), title, intro, poison.length > 0 ? table() : h('div', { class: 'blank' }, h('h2', null, 'None'), h('p', null, 'No unreadable event is open. Dismissed events are not listed.')));
  } catch (error) {
    if (turn < poisonReading.shown) return;
    poisonReading.readAt = null;
    replace($('poison'), title, failure(error, showPoison));
  }
  showFreshness();
}

function poisonTable(poison) {
  const row = (kept) => h('tr', null, cell('Kept', moment(kept.keptAt)), cell('Reason', kept.reason), cell('SHA-256', h('span', { class: 'mono' }, shortId(kept.sha256)), copyButton(kept.sha256, 'SHA-256')), cell('Action', poisonButtons(kept)));
  return h('div', { class: 'card scroll', tabindex: 0, role: 'region', 'aria-label': 'Unreadable events' },
    h('table', { class: 'cards' }, h('caption', { class: 'unseen' }, 'Unreadable events'), tableHead('Kept', 'Reason', 'SHA-256', 'Action'), h('tbody', null, poison.map(row))));
}

function poisonButtons(kept) {
  const { sha256, keptAt } = kept;
  const offer = (text, picture, onclick) => button(text, onclick, { picture, focus: `${text} ${sha256}`, label: `${text} the event of ${dateTime(keptAt)}` });
  const save = offer('Download', 'down', () => download(poisonPath(sha256), `event-${sha256.slice(0, 8)}.json`, save));
  const drop = canAct() && offer('Dismiss', 'cross', () => dismiss(kept));
  // Its content is gone.
  if (kept.expiredAt) return [drop];
  return [offer('Show', 'search', () => showEvent(kept)), save, canAct() && offer('Replay', 'refresh', () => replay(kept)), drop];
}

const poisonPath = (sha256) => `poison/${encodeURIComponent(sha256)}`;
/** Of a longer event the beginning is shown; the download has all of it. */
const EVENT_SHOWN = 20_000;

/** The event as text: JSON in lines; what was kept as text as it is. */
async function showEvent({ sha256, keptAt, reason }) {
  try {
    const response = await answerTo(poisonPath(sha256));
    if (!response.ok) await read(response);
    const event = JSON.parse(await response.text());
    const text = typeof event === 'string' ? event : JSON.stringify(event, null, 2);
    const more = text.length > EVENT_SHOWN && h('p', { class: 'hint' }, `The first ${number(EVENT_SHOWN)} of ${number(text.length)} characters. Download the event to see all of it.`);
    say($('event-about'), `Kept ${exactTime(keptAt)}: ${reason ?? 'no reason kept'}`);
    replace($('event-text'), h('pre', { tabindex: 0 }, text.slice(0, EVENT_SHOWN)), more);
    openDialog($('event-dialog'), () => null);
  } catch (error) {
    toastError(error);
  }
}

async function replay({ sha256, keptAt }) {
  const question = { title: 'Replay this event?', about: `Event of ${exactTime(keptAt)}, SHA-256 ${shortId(sha256)}`, text: 'It is read again as if it had just arrived. To repeat it changes nothing.', go: 'Replay' };
  const outcome = ({ chunks, problem }) => (problem ? [`Still not readable: ${problem}`, 'bad'] : `${plural(chunks, 'chunk')} announced by it`);
  if (await act(question, `${poisonPath(sha256)}/replay`, outcome)) { showPoison(); pollSummary(); }
}

async function dismiss({ sha256, keptAt, reason }) {
  const question = { title: 'Dismiss this event?', about: `Event of ${exactTime(keptAt)}: ${reason ?? 'no reason kept'}`, text: 'It is kept, and no longer counts as needing attention.', go: 'Dismiss', fields: [{ name: 'reason', label: 'Reason; it must not name a person', required: true }] };
  if (await act(question, `${poisonPath(sha256)}/dismiss`, ({ message }) => message, (values) => values)) { showPoison(); pollSummary(); }
}
