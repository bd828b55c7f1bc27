// Events that could not be read: kept whole, to be replayed when the cause is fixed, or dismissed with a reason.

async function showPoison() {
  document.title = 'Unreadable events · Recording vault';
  const title = h('h1', { tabindex: -1 }, 'Unreadable events');
  const intro = h('p', { class: 'intro' }, 'The vault could not read these events. Each is kept whole, and was confirmed to Event Grid so that it is not repeated. Fix the cause and replay it, or dismiss it with a reason.');
  if ($('poison').childElementCount === 0) replace($('poison'), title, intro, h('p', { class: 'hint' }, 'Loading …'));
  try {
    const { poison, isCapped } = await request('poison');
    replace($('poison'), title, intro, poison.length > 0 ? [poisonTable(poison), isCapped && h('p', { class: 'hint' }, 'The newest are shown; there are more.')] : h('div', { class: 'blank' }, h('h2', null, 'None'), h('p', null, 'Every event could be read.')));
  } catch (error) {
    replace($('poison'), title, failure(error, showPoison));
  }
}

function poisonTable(poison) {
  const canAct = vault.summary?.actions ?? false;
  const row = ({ sha256, keptAt, reason }) => h('tr', null, h('td', null, moment(keptAt)), h('td', null, reason), h('td', { class: 'mono' }, shortId(sha256), copyButton(sha256, 'SHA-256')),
    canAct && h('td', null, button('Replay', () => replay({ sha256, keptAt }), { picture: 'refresh', focus: `replay ${sha256}`, label: `Replay the event of ${dateTime(keptAt)}` }),
      button('Dismiss', () => dismiss({ sha256, keptAt, reason }), { focus: `dismiss ${sha256}`, label: `Dismiss the event of ${dateTime(keptAt)}` })));
  return h('div', { class: 'card scroll', tabindex: 0, role: 'region', 'aria-label': 'Unreadable events' }, h('table', null, h('caption', { class: 'unseen' }, 'Unreadable events'), canAct ? tableHead('Kept', 'Reason', 'SHA-256', 'Action') : tableHead('Kept', 'Reason', 'SHA-256'), h('tbody', null, poison.map(row))));
}

async function replay({ sha256, keptAt }) {
  const question = { title: 'Replay this event?', about: `Event of ${exactTime(keptAt)}, SHA-256 ${shortId(sha256)}`, text: 'It is read again as if it had just arrived. To repeat it changes nothing.', go: 'Replay' };
  const outcome = ({ chunks, problem }) => (problem ? [`Still not readable: ${problem}`, 'bad'] : `${plural(chunks, 'chunk')} announced by it`);
  if (await act(question, `poison/${encodeURIComponent(sha256)}/replay`, outcome)) { showPoison(); pollSummary(); }
}

async function dismiss({ sha256, keptAt, reason }) {
  const question = { title: 'Dismiss this event?', about: `Event of ${exactTime(keptAt)}: ${reason ?? 'no reason kept'}`, text: 'It is kept, and no longer counts as needing attention.', go: 'Dismiss', fields: [{ name: 'reason', label: 'Reason; it must not name a person', required: true }] };
  if (await act(question, `poison/${encodeURIComponent(sha256)}/dismiss`, ({ message }) => message, (values) => values)) { showPoison(); pollSummary(); }
}
