// One recording: where it is, what became of it, its proof; and what one may do with it.

const shown = { id: null, recording: null, player: null, playable: null, load: null, parts: {} };

async function showRecording(id) {
  document.title = 'Recording · Recording vault';
  if (shown.id === id && shown.recording) return refreshRecording();
  leaveRecording();
  shown.id = id;
  replace($('recording'), backLink(), h('h1', { id: 'recording-title', tabindex: -1 }, 'Recording'), h('p', { class: 'hint', role: 'status' }, 'Loading …'));
  const load = new AbortController();
  shown.load = load;
  try {
    const recording = await request(recordingPath(id), { signal: load.signal });
    if (shown.id !== id) return undefined;
    return buildRecording(recording);
  } catch (error) {
    return wasCancelled(error) || shown.id !== id ? undefined : noRecording(error);
  }
}

function leaveRecording() {
  shown.load?.abort();
  shown.player?.stop();
  Object.assign(shown, { id: null, recording: null, player: null, playable: null, load: null, parts: {} });
}

const backLink = () => h('a', { href: `#/recordings${list.filters ? `?${list.filters}` : ''}`, class: 'back' }, icon('back'), 'Recordings');

/** What cannot be shown is told, with the next step. */
function noRecording(error) {
  const [title, text] = {
    404: ['There is no such recording', 'The vault knows no recording of this id. Was the id copied whole? A recording that was made somewhere else, or before the vault was set up, is not here.'],
    410: ['This recording was erased', 'It was here, and was erased on purpose. The audit log says when and by whom; nothing else of it is kept.'],
  }[error.status] ?? ['The recording cannot be shown', 'That says nothing of the recording itself.'];
  shown.player?.stop();
  Object.assign(shown, { recording: null, player: null, playable: null, parts: {} });
  replace($('recording'), backLink(), h('div', { class: 'blank', role: 'alert' }, h('h1', { id: 'recording-title', tabindex: -1 }, title), h('p', null, text), h('p', { class: 'hint' }, error.message),
    h('p', null, button('Try again', () => { const { id } = shown; leaveRecording(); showRecording(id); }), ' ', h('a', { href: '#/recordings', class: 'button' }, 'All recordings'))));
}

/** Reads anew what may have changed; the player and the place one reads at stay. */
async function refreshRecording({ quiet = false } = {}) {
  const { id } = shown;
  try {
    const recording = await request(recordingPath(id), { quiet });
    if (shown.id === id) updateRecording(recording);
  } catch (error) {
    if (shown.id === id && [404, 410].includes(error.status)) noRecording(error);
  }
}

function buildRecording(recording) {
  const part = (name, className = '') => (shown.parts[name] = h('div', { class: className }));
  replace($('recording'), backLink(),
    part('head', 'detail-head'), part('problems'),
    h('div', { class: 'detail' },
      h('div', { class: 'detail-main' }, part('player'), part('chunks'), part('timeline')),
      h('div', { class: 'detail-side' }, part('facts'), part('people'), part('holds'))),
    h('p', { class: 'print-foot' }));
  updateRecording(recording);
  if (!document.activeElement || document.activeElement === document.body) $('recording-title').focus({ preventScroll: true });
}

function updateRecording(recording) {
  if (!shown.parts.head) return buildRecording(recording);
  shown.recording = recording;
  const canAct = vault.summary?.actions ?? false;
  const parts = {
    head: [() => headPart(recording, canAct), recording.status, recording.chunkList.length, recording.startedAt, recording.held, recording.doubtful, recording.nextDeadline, canAct],
    problems: [() => problemsPart(recording), recording.problems],
    chunks: [() => chunksPart(recording, canAct), recording.chunkList, recording.pauses, canAct],
    timeline: [() => timelinePart(recording), recording.timeline],
    facts: [() => factsPart(recording), { ...recording, chunkList: 0, timeline: 0, holds: 0 }],
    people: [() => peoplePart(recording), recording.participantList, recording.chunkList],
    holds: [() => holdsPart(recording, canAct), recording.holds, canAct],
  };
  for (const [name, [draw, ...from]] of Object.entries(parts)) {
    const written = JSON.stringify([inUtc, from]);
    const box = shown.parts[name];
    if (box.written === written) continue;
    box.written = written;
    keepOpen(box, () => replace(box, draw()));
  }
  updatePlayer(recording);
  document.title = `${recording.startedAt ? dateTime(recording.startedAt) : 'Recording'} · Recording vault`;
  return undefined;
}

function updatePlayer(recording) {
  const playable = recording.chunkList.filter((chunk) => chunk.playable).map((chunk) => chunk.documentId).join(' ');
  if (shown.playable === playable) return;
  shown.playable = playable;
  shown.player?.stop();
  shown.player = playable ? makePlayer(recording) : null;
  const nothing = h('p', { class: 'blank' }, recording.endedAt || recording.chunkList.length > 0 ? 'There is nothing to play yet: no file of this recording is in the vault.' : 'There is nothing to play yet: the files follow after the end of the call.');
  replace(shown.parts.player, h('section', { class: 'card', 'aria-labelledby': 'player-title' }, h('h2', { id: 'player-title' }, recording.content === 'audioVideo' ? 'Watch' : 'Listen'), shown.player?.element ?? nothing));
}

function headPart(recording, canAct) {
  const { startedAt, recordingId, nextDeadline, status: state } = recording;
  return [
    h('div', null,
      h('h1', { id: 'recording-title', tabindex: -1 }, startedAt ? ['Recording of ', moment(startedAt)] : 'Recording'),
      h('p', { class: 'standing' }, badge(state), recording.held && h('span', { class: 'tag' }, icon('lock'), 'held'), recording.doubtful && h('span', { class: 'tag warn' }, icon('alert'), 'doubtful'),
        h('span', null, state === 'failed' && recording.chunkList.length === 0 ? 'ACS could not start it; the reason stands below.' : status(state).says), nextDeadline && ['waiting', 'exporting', 'atRisk', 'failed'].includes(state) && h('strong', { class: 'deadline' }, ' ACS drops it ', countdown(nextDeadline), '.'))),
    h('div', { class: 'detail-tools' },
      canAct && button('Hold', () => addHold(recordingId), { picture: 'lock', focus: 'hold' }),
      button('Copy link', () => copyLink(), { picture: 'copy', focus: 'link' }),
      button('Evidence sheet', () => printSheet(), { picture: 'print', focus: 'print' }),
      !canAct && h('p', { class: 'hint' }, 'Read-only: the operator switches actions on with OPERATOR_ACTIONS.')),
  ];
}

const copyLink = () => navigator.clipboard.writeText(location.href).then(() => toast('Link copied; it holds no key'), () => toast('The browser does not let the page copy.', 'bad'));

function printSheet() {
  say($('recording').querySelector('.print-foot'), `Recording vault ${vault.summary?.version ?? ''}, as of ${exactTime(serverNow())}. A file is proved when its length, its SHA-256 and its list of committed blocks agree; the receipt beside it says so.`);
  print();
}

function problemsPart({ problems = [] }) {
  return problems.length > 0 && h('div', { class: 'problems' }, icon('alert'), h('ul', null, problems.map((problem) => h('li', null, sentence(problem)))));
}

/** Name and value; nothing is shown for what is not known. */
const facts = (...pairs) => h('dl', { class: 'facts' }, pairs.filter(([, value]) => value != null && value !== '–').map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
const idValue = (id, what) => id && [h('span', { class: 'mono break' }, id), copyButton(id, what)];

function factsPart(recording) {
  const { recordingId, callId, serverCallId, startedAt, endedAt, durationMs, sizeBytes, startedBy, consent, conversation, call, options } = recording;
  const price = recordingPrice(recording);
  const sessions = (conversation?.sessions ?? []).filter((session) => session !== recordingId);
  const raw = { call, options };
  return h('section', { class: 'card', 'aria-labelledby': 'facts-title' }, h('h2', { id: 'facts-title' }, 'What it is'),
    facts(['Started', moment(startedAt, exactTime)], ['Ended', moment(endedAt, exactTime)], ['Length', playTime(durationMs)], ['Kind', kind(recording)], ['Size', bytes(sizeBytes)],
      ['Started by', startedBy && h('span', { class: 'mono break' }, startedBy)],
      ['Consent', consent ? [consent.basis, consent.givenBy && `, given by ${consent.givenBy}`, consent.givenAt && [', ', moment(consent.givenAt)], consent.reference && `, ${consent.reference}`] : 'no evidence kept'],
      ['Estimate', price != null && [money(price), h('span', { class: 'hint' }, ' at ACS\'s list price')]],
      ['Recording id', idValue(recordingId, 'Recording id')], ['Call id', idValue(callId, 'Call id')], ['Server call id', idValue(serverCallId, 'Server call id')],
      ['Conversation', sessions.length > 0 ? sessions.map((session) => h('a', { class: 'mono', href: `#/${recordingPath(session)}` }, shortId(session))) : null]),
    (call || options) && h('details', { 'data-keep': 'raw' }, h('summary', { 'data-focus': 'raw' }, 'As it was asked for'), h('pre', { tabindex: 0 }, JSON.stringify(raw, null, 2))));
}

function peoplePart({ participantList = [], chunkList }) {
  const ofChunks = chunkList.flatMap((chunk) => chunk.channels ?? []);
  const channels = new Map([...ofChunks.map(({ channel, participantId }) => [participantId, channel]), ...participantList.filter(({ channel }) => channel != null).map(({ id, channel }) => [id, channel])]);
  const ids = [...new Set([...participantList.map(({ id }) => id), ...channels.keys()])];
  if (ids.length === 0) return null;
  ids.sort((one, other) => (channels.get(one) ?? 99) - (channels.get(other) ?? 99));
  const row = (id) => h('tr', null, channels.size > 0 && h('td', { class: 'channel' }, channels.has(id) ? number(channels.get(id)) : '–'),
    h('td', { class: 'mono break' }, h('a', { href: `#/recordings?${parameters({ participant: id })}`, title: 'All recordings with this participant' }, id)));
  return h('section', { class: 'card', 'aria-labelledby': 'people-title' }, h('h2', { id: 'people-title' }, channels.size > 0 ? 'Who speaks on which channel' : 'Who took part'),
    h('table', { class: 'people' }, h('caption', { class: 'unseen' }, 'Participants'), channels.size > 0 ? tableHead('Channel', 'Participant') : tableHead('Participant'), h('tbody', null, ids.map(row))));
}

function holdsPart({ recordingId, holds }, canAct) {
  const row = (hold) => h('li', null, h('div', null, h('b', null, hold.case), hold.by && ` by ${hold.by}`, ', ', moment(hold.at), hold.note && h('p', { class: 'hint' }, hold.note)),
    canAct && button('Release', () => releaseHold(recordingId, hold.case), { focus: `release ${hold.case}`, label: `Release ${hold.case}` }));
  return h('section', { class: 'card', 'aria-labelledby': 'holds-title' }, h('h2', { id: 'holds-title' }, 'Holds'),
    holds.length > 0 ? h('ul', { class: 'holds' }, holds.map(row)) : h('p', { class: 'hint' }, 'None: it is deleted as the policy says.'));
}

function timelinePart({ timeline }) {
  if (timeline.length === 0) return null;
  return h('section', { class: 'card', 'aria-labelledby': 'timeline-title' }, h('h2', { id: 'timeline-title' }, 'What happened'),
    h('ol', { class: 'timeline' }, timeline.map(({ at, text, what }) => h('li', { class: what }, moment(at, exactTime), h('span', null, text)))));
}
