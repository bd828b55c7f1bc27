// Events that could not be read: kept whole, to be fed in again when the reason is remedied.

async function showPoison() {
  document.title = 'Unreadable events · Recording vault';
  const title = h('h1', { tabindex: -1 }, 'Unreadable events');
  const intro = h('p', { class: 'intro' }, 'What arrived at the vault and was no event it can read. Each is kept whole and acknowledged, so that Event Grid does not repeat it.');
  if ($('poison').childElementCount === 0) replace($('poison'), title, intro, h('p', { class: 'hint' }, 'Loading …'));
  try {
    const { poison, isCapped } = await request('poison');
    replace($('poison'), title, intro, poison.length > 0 ? [poisonTable(poison), isCapped && h('p', { class: 'hint' }, 'The newest are shown; there are more.')] : h('div', { class: 'blank' }, h('h2', null, 'None'), h('p', null, 'Every event that came could be read.')));
  } catch (error) {
    replace($('poison'), title, h('div', { class: 'blank', role: 'alert' }, h('p', null, error.message), button('Try again', showPoison, { kind: 'primary' })));
  }
}

function poisonTable(poison) {
  const canAct = vault.summary?.actions ?? false;
  const row = ({ sha256, keptAt, reason }) => h('tr', null, h('td', null, moment(keptAt)), h('td', null, reason), h('td', { class: 'mono' }, shortId(sha256), copyButton(sha256, 'SHA-256')),
    canAct && h('td', null, button('Replay', () => replay(sha256), { picture: 'refresh', focus: `replay ${sha256}`, label: `Replay the event of ${dateTime(keptAt)}` })));
  return h('div', { class: 'card scroll', tabindex: 0, role: 'region', 'aria-label': 'Unreadable events' }, h('table', null, h('caption', { class: 'unseen' }, 'Unreadable events'), canAct ? tableHead('Kept', 'Reason', 'SHA-256', 'Action') : tableHead('Kept', 'Reason', 'SHA-256'), h('tbody', null, poison.map(row))));
}

async function replay(sha256) {
  const question = { title: 'Replay this event?', text: 'It is read again as if it had just come. Harmless to repeat: what is known already changes nothing.', go: 'Replay' };
  const told = ({ chunks, problem }) => (problem ? [`Still not readable: ${problem}`, 'bad'] : `${plural(chunks, 'chunk')} announced by it`);
  if (await act(question, `poison/${encodeURIComponent(sha256)}/replay`, told)) { showPoison(); pollSummary(); }
}
