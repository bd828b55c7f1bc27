// One recording: its standing, its media, its proof, who took part and what happened.

const shown = { id: null, recording: null, reading: new Reading(), player: null, playable: null, load: null, parts: {}, nothing: null };

async function showRecording(id) {
  document.title = 'Recording · Recording vault';
  if (shown.id === id && shown.recording) return refreshRecording();
  leaveRecording();
  shown.id = id;
  replace($('recording'), backLink(), h('h1', { id: 'recording-title', tabindex: -1 }, 'Recording'), h('p', { class: 'hint', role: 'status' }, 'Loading …'));
  const load = new AbortController();
  shown.load = load;
  const turn = shown.reading.begin();
  try {
    const recording = await request(recordingPath(id), { signal: load.signal });
    if (shown.id !== id || !shown.reading.takes(turn)) return undefined;
    return buildRecording(recording);
  } catch (error) {
    return wasCancelled(error) || shown.id !== id ? undefined : noRecording(error);
  }
}

function leaveRecording() {
  shown.load?.abort();
  shown.player?.stop();
  shown.reading.forget();
  Object.assign(shown, { id: null, recording: null, player: null, playable: null, load: null, parts: {} });
}

const backLink = () => h('a', { href: `#/recordings${list.filters ? `?${list.filters}` : ''}`, class: 'back' }, icon('back'), 'Recordings');

/** Says why a recording cannot be shown, and what to do. */
function noRecording(error) {
  const [title, text] = {
    404: ['No account of this recording is known', 'Neither the register nor an open chunk of the ledger has this id, and the audit log says nothing of it. Check that the id was copied whole. Recordings made elsewhere, or before the vault was set up, are not here.'],
    409: ['The account of this recording is missing or not readable', 'What is known of it is in that document. Its files in the vault are not affected.'],
    410: ['This recording was erased', 'It was erased on request. The audit log has when and by whom; nothing else of it is kept.'],
  }[error.status] ?? ['The recording cannot be shown', 'The recording itself is not affected.'];
  shown.player?.stop();
  closeQuestion();
  if (error.isTransient) vault.isFailing = true;
  Object.assign(shown, { recording: null, player: null, playable: null, parts: {} });
  showFreshness();
  replace($('recording'), backLink(), h('div', { class: 'blank', role: 'alert', 'data-failed': error.isTransient ?? false }, h('h1', { id: 'recording-title', tabindex: -1 }, title), h('p', null, text), h('p', { class: 'hint' }, error.message),
    h('p', null, button('Try again', reopen, { focus: 'again' }), ' ', h('a', { href: '#/recordings', class: 'button' }, 'All recordings'))));
  $('recording').querySelector('[role=alert]').again = reopen;
}

function reopen() {
  const { id } = shown;
  leaveRecording();
  showRecording(id);
}

/** Reads the recording again; the player and the place in the page stay. */
async function refreshRecording({ quiet = false } = {}) {
  const { id } = shown;
  const turn = shown.reading.begin();
  try {
    const recording = await request(recordingPath(id), { quiet });
    if (shown.id === id && shown.reading.takes(turn)) updateRecording(recording);
  } catch (error) {
    if (shown.id !== id) return;
    if ([404, 409, 410].includes(error.status)) noRecording(error);
    else if (shown.recording) shown.reading.isOutdated(turn, shown.parts.standing, error);
  }
}

function buildRecording(recording) {
  const part = (name, className = '') => (shown.parts[name] = h('div', { class: className }));
  replace($('recording'), backLink(),
    part('head', 'detail-head'), part('standing'),
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
  const mayAct = canAct();
  const parts = {
    head: [() => headPart(recording), recording.startedAt],
    standing: [() => standingPart(recording, mayAct), recording.status, recording.reasons, recording.nextStep, recording.chunkList, recording.pauses, recording.held, recording.doubtful, recording.nextDeadline, isPast(recording.nextDeadline), mayAct, whyReadOnly()],
    chunks: [() => chunksPart(recording, mayAct), recording.chunkList, recording.status, recording.pauses, mayAct],
    timeline: [() => timelinePart(recording), recording.timeline],
    facts: [() => factsPart(recording), { ...recording, chunkList: recording.chunkList.map(chunkMs), timeline: 0, holds: 0 }],
    people: [() => peoplePart(recording), recording.participantList, recording.chunkList, recording.status, recording.hasMetadata, recording.peopleDropped],
    holds: [() => holdsPart(recording, mayAct), recording.holds, mayAct],
  };
  for (const [name, [draw, ...from]] of Object.entries(parts)) {
    const written = JSON.stringify([inUtc, from]);
    const box = shown.parts[name];
    if (box.written === written) continue;
    box.written = written;
    keepOpen(box, () => replace(box, draw()));
  }
  updatePlayer(recording);
  say($('recording').querySelector('.print-foot'), `Recording vault ${vault.summary?.version ?? ''}, as of ${exactTime(shown.reading.readAt)}. A file is proved when its length, its SHA-256 and its list of committed blocks agree; the receipt beside it has them. The evidence package proves the same offline.`);
  document.title = `${recording.startedAt ? dateTime(recording.startedAt) : 'Recording'} · Recording vault`;
  showFreshness();
  return undefined;
}

/** Why there is nothing to play, by standing: only what may still come is "not yet" there. */
const NOTHING_TO_PLAY = {
  active: 'Nothing to play yet: the files follow after the end of the call.',
  paused: 'Nothing to play yet: the files follow after the end of the call.',
  awaitingFiles: 'Nothing to play yet: ACS has not announced the files.',
  waiting: 'Nothing to play yet: the files are exported with the next sweep.',
  exporting: 'Nothing to play yet: the files are being exported.',
  atRisk: 'Nothing to play yet: the files are not exported.',
  lost: 'Nothing to play: ACS dropped the files before they were exported.',
  missing: 'Nothing to play: no event announced the files.',
  failed: 'Nothing to play: the export was given up, or the recording never started.',
  acknowledged: 'Nothing to play: the loss of this recording was acknowledged.',
  removed: 'Nothing to play: the retention policy deleted the copy.',
  inPlace: 'Nothing to play here: the files are in your own storage.',
};

function updatePlayer(recording) {
  // A file that is found damaged, or whole again, is opened again: the player says which it is.
  const playable = recording.chunkList.filter((chunk) => chunk.playable).map(({ documentId, damage }) => `${documentId} ${damage?.foundAt ?? ''}`).join(' ');
  if (shown.playable === playable && (playable || shown.nothing === recording.status)) return;
  shown.nothing = recording.status;
  shown.playable = playable;
  shown.player?.stop();
  shown.player = playable ? makePlayer(recording) : null;
  const nothing = h('p', { class: 'blank' }, NOTHING_TO_PLAY[recording.status] ?? 'Nothing to play: no file of this recording is in the vault.');
  replace(shown.parts.player, h('section', { class: 'card', 'aria-labelledby': 'player-title' }, h('h2', { id: 'player-title' }, recording.content === 'audioVideo' ? 'Watch' : 'Listen'), shown.player?.element ?? nothing));
}

function headPart(recording) {
  const { startedAt } = recording;
  const evidence = button('Evidence (ZIP)', () => downloadEvidence(recording, evidence), { picture: 'down', focus: 'evidence' });
  return [
    h('div', null, h('h1', { id: 'recording-title', tabindex: -1 }, startedAt ? ['Recording of ', moment(startedAt)] : 'Recording')),
    h('div', { class: 'detail-tools' },
      evidence,
      button('Copy link', copyLink, { picture: 'copy', focus: 'link' }),
      button('Print', printSheet, { picture: 'print', focus: 'print' })),
  ];
}

const copyLink = () => navigator.clipboard.writeText(location.href).then(() => toast('Link copied; it contains no key'), () => toast('The browser does not let the page copy.', 'bad'));

/** Media, metadata, receipts, history and how to verify them, with times in UTC and in the chosen zone. */
async function downloadEvidence(recording, from) {
  const { recordingId } = recording;
  const question = { title: 'Download the evidence?', about: nameOf(recording), text: 'A ZIP with media, metadata, receipts, history and how to verify them. The sheet in it names who made it.', go: 'Download' };
  if (nameFields().length > 0 && !await ask(question)) return undefined;
  toast('The evidence package is being made. Large recordings take a while.');
  return download(`${recordingPath(recordingId)}/evidence?${parameters({ timeZone: zoneName() })}`, `evidence-${shortId(recordingId).replace('…', '-').replace(/[^\w-]/g, '_')}.zip`, from);
}

/** The sheet has the time of what is on it: that of now, or, if the vault does not answer, that of the last answer. */
async function printSheet() {
  await refreshRecording({ quiet: true });
  if (shown.recording) print();
}

/** Lengths that are closer are the same: the clocks differ. */
const LENGTHS_DIFFER_MS = 2000;

/** The length as the list has it; where files, start and end or pauses say something else, what each says. */
function lengthOf({ durationMs, startedAt, endedAt, pauses = [], chunkList = [] }) {
  const whole = startedAt && endedAt ? Date.parse(endedAt) - Date.parse(startedAt) : null;
  const inFiles = chunkList.length > 0 && chunkList.every(({ examination }) => examination?.durationMs != null) ? chunkList.reduce((sum, chunk) => sum + chunkMs(chunk), 0) : null;
  const length = durationMs ?? inFiles;
  if (length == null) return whole == null ? null : [playTime(whole), h('span', { class: 'hint' }, ' from start to end; the files are not exported')];
  const differs = (other) => other != null && Math.abs(other - length) >= LENGTHS_DIFFER_MS;
  const paused = pauses.reduce((sum, pause) => sum + (pause.endedAt ? Date.parse(pause.endedAt) - Date.parse(pause.startedAt) : 0), 0);
  const notes = [differs(inFiles) && `the files ${endedAt ? '' : 'so far '}play ${playTime(inFiles)}`, differs(whole) && `${playTime(whole)} from start to end`].filter(Boolean);
  if (notes.length === 0) return playTime(length);
  return [playTime(length), h('span', { class: 'hint' }, ` by ACS; ${[...notes, paused > 0 && `${playTime(paused)} were paused`].filter(Boolean).join('; ')}`)];
}

/** Names and values; what is not known is left out. */
const facts = (...pairs) => h('dl', { class: 'facts' }, pairs.filter(([, value]) => value != null && value !== false && value !== '–').map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
const idValue = (id, what) => id && [h('span', { class: 'mono break' }, id), copyButton(id, what)];

function factsPart(recording) {
  const { recordingId, callId, serverCallId, startedAt, endedAt, sizeBytes, startedBy, consent, conversation, call, options } = recording;
  const price = recordingPrice(recording);
  const sessions = (conversation?.sessions ?? []).filter((session) => session !== recordingId);
  const raw = { call, options };
  return h('section', { class: 'card', 'aria-labelledby': 'facts-title' }, h('h2', { id: 'facts-title' }, 'What it is'),
    facts(['Started', moment(startedAt, exactTime)], ['Ended', moment(endedAt, exactTime)], ['Length', lengthOf(recording)], ['Kind', kind(recording)], ['Size', bytes(sizeBytes)],
      ['Started by', startedBy && h('span', { class: 'mono break' }, startedBy)],
      ['Consent', consent ? [consent.basis, consent.givenBy && `, given by ${consent.givenBy}`, consent.givenAt && [', ', moment(consent.givenAt)], consent.reference && `, ${consent.reference}`] : 'no consent recorded'],
      ['Estimate', price != null && [h('span', { class: 'price' }, money(price)), h('span', { class: 'hint' }, ' at ACS\'s list price')]],
      ['Recording id', idValue(recordingId, 'Recording id')], ['Call id', idValue(callId, 'Call id')], ['Server call id', idValue(serverCallId, 'Server call id')],
      ['Conversation', sessions.length > 0 ? sessions.map((session) => h('a', { class: 'mono', href: `#/${recordingPath(session)}` }, shortId(session))) : null]),
    (call || options) && h('details', { 'data-keep': 'raw' }, h('summary', { 'data-focus': 'raw' }, 'As it was asked for'), h('pre', { tabindex: 0 }, JSON.stringify(raw, null, 2))));
}

/** Why no participant is named: never "none" where the names were deleted, or were never read. */
function withoutPeople({ status: state, hasMetadata, peopleDropped }) {
  if (peopleDropped) return 'Deleted: the retention policy or an erasure removed the names. Ids, times and digests remain.';
  if (hasMetadata) return 'ACS\'s metadata names no participant.';
  if (EXPORTED.includes(state)) return 'Unknown: no metadata of ACS was read for this recording.';
  return 'Unknown until exported: ACS names the participants in the metadata, which comes with the files.';
}

function peoplePart(recording) {
  const { participantList = [], chunkList } = recording;
  const ofChunks = chunkList.flatMap((chunk) => chunk.channels ?? []);
  const channels = new Map([...ofChunks.map(({ channel, participantId }) => [participantId, channel]), ...participantList.filter(({ channel }) => channel != null).map(({ id, channel }) => [id, channel])]);
  const ids = [...new Set([...participantList.map(({ id }) => id), ...channels.keys()])];
  if (ids.length === 0) {
    return h('section', { class: 'card', 'aria-labelledby': 'people-title' }, h('h2', { id: 'people-title' }, 'Who took part'), h('p', { class: 'hint' }, withoutPeople(recording)));
  }
  ids.sort((one, other) => (channels.get(one) ?? 99) - (channels.get(other) ?? 99));
  const row = (id) => h('tr', null, channels.size > 0 && h('td', { class: 'channel' }, channels.has(id) ? number(channels.get(id)) : '–'),
    h('td', { class: 'mono break' }, h('a', { href: `#/recordings?${parameters({ participant: id })}`, title: 'All recordings with this participant' }, id)));
  return h('section', { class: 'card', 'aria-labelledby': 'people-title' }, h('h2', { id: 'people-title' }, channels.size > 0 ? 'Who speaks on which channel' : 'Who took part'),
    h('table', { class: 'people' }, h('caption', { class: 'unseen' }, 'Participants'), channels.size > 0 ? tableHead('Channel', 'Participant') : tableHead('Participant'), h('tbody', null, ids.map(row))));
}

/** What a hold is on that covers the recording, if not its own id. */
const HOLD_ON = { otherRecording: 'another id of its files', call: 'its call', person: 'a person', period: 'a period' };

/** A hold on more than the recording is released where all holds are, for everything that it covers. */
function releaseButton(recording, { case: tag, on }) {
  if (on === 'recording') return button('Release', () => releaseHold(recording, tag), { focus: `release ${tag}`, label: `Release ${tag}` });
  return HOLD_ON[on] && h('a', { class: 'button', href: '#/holds', 'data-focus': `release ${tag} ${on}`, 'aria-label': `Release in Holds: ${tag}, on ${HOLD_ON[on]}` }, 'Release in Holds');
}

function holdsPart(recording, mayAct) {
  const { holds } = recording;
  const row = (hold) => h('li', null,
    h('div', null, h('b', null, hold.case), heldBy(hold), ', ', moment(hold.at), HOLD_ON[hold.on] && h('p', { class: 'hint' }, `The hold is on ${HOLD_ON[hold.on]}.`), hold.note && h('p', { class: 'hint' }, hold.note)),
    mayAct && releaseButton(recording, hold));
  return h('section', { class: 'card', 'aria-labelledby': 'holds-title' }, h('h2', { id: 'holds-title' }, 'Holds'),
    holds.length > 0 ? h('ul', { class: 'holds' }, holds.map(row)) : h('p', { class: 'hint' }, 'None: the retention policy applies.'));
}

/** Everything that happened, as the vault says it: what was done to the recording, and who looked at it. */
function timelinePart({ timeline }) {
  if (timeline.length === 0) return null;
  return h('section', { class: 'card', 'aria-labelledby': 'timeline-title' }, h('h2', { id: 'timeline-title' }, 'What happened'),
    h('ol', { class: 'timeline' }, timeline.map(({ at, text, what }) => h('li', { class: what }, moment(at, exactTime), h('span', null, withMoments(text))))));
}
