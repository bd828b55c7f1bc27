// What a recording needs: its standing, the reasons, the deadline and the next step in one place, with the buttons for it.

const isOpenChunk = ({ state }) => ['pending', 'deadLettered'].includes(state);
/** Whether a retry may help. A form of a file that was given up is known only where it is what the recording needs next. */
const isWorthARetry = (recording, chunk) => isOpenChunk(chunk) || (recording.nextStep === 'retry' && chunk.standing === 'incomplete');
/** A damaged copy is doubtful too, and is not accepted but restored. */
const awaitsAcceptance = (chunk) => chunk.awaitsAcceptance;
/** A loss, or a failure that no retry cures, may be acknowledged. */
const ACKNOWLEDGED_WHEN = ['lost', 'failed', 'missing', 'incomplete'];
/** Reasons that are listed; of more the others are counted. */
const REASONS_SHOWN = 10;

function standingPart(recording, mayAct) {
  const { status: state, reasons = [], nextDeadline, pauses = [] } = recording;
  const openPause = pauses.find(({ endedAt }) => !endedAt);
  const { tone, says } = status(state);
  const buttons = mayAct ? standingButtons(recording) : [];
  return h('section', { class: `card standing-card ${tone}`, 'aria-labelledby': 'standing-title' },
    h('h2', { id: 'standing-title', class: 'unseen' }, 'Standing and next step'),
    h('p', { class: 'standing' }, badge(state), recording.held && h('span', { class: 'tag' }, icon('lock'), 'held'), recording.doubtful && state !== 'doubtful' && h('span', { class: 'tag warn' }, icon('alert'), 'doubtful'), recording.unsolicited && h('span', { class: 'tag' }, 'unsolicited: not started through this app'), h('span', null, says)),
    reasons.length > 0 && h('ul', { class: 'reasons' }, reasons.slice(0, REASONS_SHOWN).map((reason) => h('li', null, sentence(reason))), reasons.length > REASONS_SHOWN && h('li', null, `and ${number(reasons.length - REASONS_SHOWN)} more`)),
    nextDeadline && h('p', { class: 'deadline' }, `${deadlineText(state, nextDeadline)} `, countdown(nextDeadline), ' (', moment(nextDeadline, exactTime), ').'),
    openPause?.resumeAt && h('p', null, 'Resumes by itself ', countdown(openPause.resumeAt), '.'),
    h('p', { class: 'next-step' }, h('b', null, 'Next step: '), nextStep(recording)),
    buttons.length > 0 && h('div', { class: 'standing-tools' }, buttons),
    !mayAct && h('p', { class: 'hint' }, whyReadOnly()));
}

/** The button of the next step first. */
function standingButtons(recording) {
  const { status: state, chunkList, recordingId } = recording;
  const open = chunkList.filter((chunk) => isWorthARetry(recording, chunk));
  const doubtful = chunkList.filter(awaitsAcceptance);
  const proved = chunkList.filter(({ sha256, state: of }) => sha256 && of !== 'removed');
  const offers = [
    state === 'active' && ['pause', 'Pause', () => pauseRecording(recording), 'pause'],
    state === 'paused' && ['resume', 'Resume', () => resumeRecording(recording), 'record'],
    ['active', 'paused'].includes(state) && ['stop', 'Stop', () => stopRecording(recording), 'gone'],
    open.length > 0 && ['retry', 'Retry', () => retryChunks(recording, open), 'refresh'],
    doubtful.length > 0 && ['accept', 'Accept', () => acceptChunks(recording, doubtful), 'check'],
    ACKNOWLEDGED_WHEN.includes(state) && ['acknowledge', 'Acknowledge', () => acknowledgeLoss(recording), 'check'],
    proved.length > 0 && ['verify', 'Verify', () => verifyChunks(recording, proved), 'check'],
    ['hold', 'Hold', () => addHold(recording), 'lock'],
  ].filter(Boolean);
  const first = { retry: 'retry', checkExport: 'retry', accept: 'accept', acknowledge: 'acknowledge', startAgain: 'acknowledge', importAgain: 'acknowledge' }[recording.nextStep];
  offers.sort(([one], [other]) => (other === first) - (one === first));
  return offers.map(([name, text, onclick, picture]) => button(text, onclick, { kind: name === first ? 'primary' : '', picture, focus: `${name} ${recordingId}` }));
}

async function pauseRecording(recording) {
  const fields = [{ name: 'resumeAfter', label: 'Resume by itself after', hint: '90s, 5m, 1h' }];
  const question = { title: 'Pause this recording?', about: nameOf(recording), text: 'The call continues. Nothing of it is recorded until the recording resumes.', go: 'Pause', fields };
  if (await act(question, controlPath(recording.recordingId, 'pause'), () => 'The recording is paused', (values) => values)) refreshRecording();
}

async function resumeRecording(recording) {
  const question = { title: 'Resume this recording?', about: nameOf(recording), text: 'The call is recorded again from now on.', go: 'Resume' };
  if (await act(question, controlPath(recording.recordingId, 'resume'), () => 'The recording resumed')) refreshRecording();
}

async function stopRecording(recording) {
  const question = { title: 'Stop this recording?', about: nameOf(recording), text: 'It cannot be started again: another start makes another recording. Its files follow a few minutes later.', go: 'Stop', isDangerous: true };
  if (await act(question, controlPath(recording.recordingId, 'stop'), () => 'The recording is stopped')) refreshRecording();
}

/** Asks once, then does the same with each chunk; what fails names its chunk. */
async function withChunks(chunks, question, each) {
  const values = await ask(question);
  if (!values) return;
  let isRefused = false;
  for (const chunk of chunks) {
    try {
      const [text, tone] = [await each(chunk, values)].flat();
      if (text) toast(text, tone);
    } catch (error) {
      isRefused = true;
      toastError(error instanceof ApiError ? new ApiError(error.status, error.code, `Chunk ${chunk.index}: ${error.message}`) : error);
    }
  }
  if (!isRefused) drafts.delete(draftOf(question));
  if (shown.parts.chunks) shown.parts.chunks.written = null;
  refreshRecording();
}

const chunksText = (chunks) => (chunks.length === 1 ? `chunk ${chunks[0].index}` : plural(chunks.length, 'chunk'));

function retryChunks(recording, chunks) {
  const question = { title: `Retry ${chunksText(chunks)}?`, about: nameOf(recording), text: 'The next sweep tries the export again, from the blocks that are already there. Nothing is deleted.', go: 'Retry' };
  return withChunks(chunks, question, async ({ documentId, index }) => {
    await request(`${chunkPath(documentId)}/retry`, { method: 'POST' });
    return `Chunk ${index} is open again; the next sweep exports it`;
  });
}

/** Those with several places are accepted one after another: each needs a choice. */
function acceptChunks(recording, doubtful) {
  const chunks = doubtful.filter(({ placesToChoose }) => placesToChoose == null);
  if (chunks.length === 0) return acceptPlace(recording, doubtful[0]);
  const doubts = chunks.flatMap((chunk) => chunk.doubts ?? []).map(sentence).join('; ');
  const question = { title: `Accept ${chunksText(chunks)}?`, about: nameOf(recording), text: `Play the copy first. ${doubts ? `${doubts}. ` : ''}Once it is accepted, its source may be deleted at ACS.`, go: 'Accept', isDangerous: true };
  return withChunks(chunks, question, async ({ documentId, index }) => {
    const { message } = await request(`${chunkPath(documentId)}/accept`, { method: 'POST' });
    return message ?? `Chunk ${index} is accepted`;
  });
}

/** What an operator needs to know of a place to choose it. */
const placeText = ({ place, chosen, state, sizeBytes, sha256 }) => [`Place ${place}`, chosen && 'represents the document', sha256 ? bytes(sizeBytes) : PLACE_STATE[state] ?? state, sha256 && `SHA-256 ${shortId(sha256)}`].filter(Boolean).join(', ');

/** Events name several places for a file: one whose copy is in the vault is chosen. */
function acceptPlace(recording, { documentId, index, places }, preferred) {
  const inVault = places.filter(({ sha256 }) => sha256);
  if (inVault.length === 0) {
    toast(`Chunk ${index}: no file of its places is in the vault. Retry the export first.`, 'bad');
    return undefined;
  }
  const value = String(preferred ?? inVault[0].place);
  const fields = [{ name: 'place', label: 'The right place', required: true, value, choices: inVault.map((one) => [String(one.place), placeText(one)]) }];
  const question = { title: `Accept a place of chunk ${index}?`, about: nameOf(recording), text: 'Events name several places for this file. The file of the accepted place represents the document from now on, and its source may be deleted at ACS. The other copies stay in the vault.', go: 'Accept', isDangerous: true, fields };
  return act(question, `${chunkPath(documentId)}/accept`, () => `Chunk ${index}: a place is accepted`, ({ place }) => ({ place: Number(place) })).then((answer) => { if (answer) refreshRecording(); });
}

/** What a verification does. Which storage reads the content, only its answer says. */
const verifyText = (size) => `The vault is asked for length, ETag and blocks of each file (${bytes(size)}), and they are compared with the receipt. The content is read only where the vault is a directory or VERIFY is read-back. Nothing is changed.`;

/** What was compared with the receipt. */
const comparedText = ({ sizeBytes, compared }) => (compared === 'content'
  ? `${number(sizeBytes)} bytes were read, and the SHA-256 agrees with the receipt.`
  : `${number(sizeBytes)} bytes; length, ETag and blocks are those of the receipt. The content was not read.`);

function verifyChunks(recording, chunks) {
  const size = chunks.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  const question = { title: `Verify ${chunksText(chunks)}?`, about: nameOf(recording), text: verifyText(size), go: 'Verify' };
  return withChunks(chunks, question, async ({ documentId, index }) => {
    const answer = await request(`${chunkPath(documentId)}/verify`, { method: 'POST' });
    const at = new Date(serverNow()).toISOString();
    const [tone, text] = answer.verified ? ['good', comparedText(answer)] : ['bad', answer.problem];
    verifications.set(documentId, { tone, at, text });
    return [`Chunk ${index}: ${answer.verified ? 'verified' : 'not verified'}: ${text}`, tone];
  });
}

async function acknowledgeLoss(recording) {
  const fields = [{ name: 'reason', label: 'Reason; it must not name a person', required: true }];
  const question = { title: 'Acknowledge what is lost?', about: nameOf(recording), text: 'The recording then counts as acknowledged and no longer needs attention. The reason is kept in the audit log.', go: 'Acknowledge', fields };
  if (await act(question, `${recordingPath(recording.recordingId)}/acknowledge`, ({ message }) => message, (values) => values)) refreshRecording();
}

const holdFields = () => [{ name: 'case', label: 'Case', required: true }, { name: 'by', label: 'Requested by, if not you' }, { name: 'note', label: 'Note' }];

async function addHold(recording) {
  const question = { title: 'Hold this recording?', about: nameOf(recording), text: 'It is deleted neither at ACS nor in the vault until every case is released, whatever the retention policy says.', go: 'Hold', fields: holdFields() };
  await act(question, `${recordingPath(recording.recordingId)}/hold`, () => 'The recording is held', (values) => values);
  // Even a refusal may have held the files that are left.
  refreshRecording();
}

/** How much of what a released hold covered these cases still hold. */
function stillHeldText(cases, { recordings, held, partlyHeld }) {
  const by = `still held for ${cases.join(', ')}`;
  if (recordings <= 1) return partlyHeld > 0 ? `a part of the recording is ${by}, and the rest is not` : by;
  return `${number(held)} of ${number(recordings)} recordings ${held === 1 ? 'is' : 'are'} ${by}${partlyHeld > 0 ? `, and ${number(partlyHeld)} in part` : ''}`;
}

/** Of what it is not known whether it is still held. */
function notKnownHeld({ isCapped, unreadable, unreadableHolds }) {
  return [
    isCapped && 'It covered more recordings than were read: whether the others are still held is unknown.',
    unreadable > 0 && `${plural(unreadable, 'account or entry', 'accounts or entries')} that it may have covered ${unreadable === 1 ? 'is' : 'are'} not readable: what is still held there is unknown.`,
    unreadableHolds > 0 && `${plural(unreadableHolds, 'hold')} ${unreadableHolds === 1 ? 'is' : 'are'} not readable: what such a hold covers is unknown, and is not deleted.`,
  ].filter(Boolean);
}

/** Reports a release. Other cases may still hold all of the same, or a part of it, and so may the case itself, by another hold. */
function releaseOutcome(released, tag, subject, { holds, stillHeld }) {
  const cases = [...new Set(holds.map((hold) => hold.case))];
  const isOfCase = cases.includes(tag);
  const isWhole = stillHeld.recordings <= 1 && stillHeld.partlyHeld === 0;
  const kept = cases.length > 0 && stillHeldText(cases, stillHeld);
  const text = isOfCase && isWhole ? `Still held for ${tag}: only its hold on ${subject} is released, and another hold of ${tag} covers it.`
    : isOfCase ? `${sentence(kept)}. Only the hold of ${tag} on ${subject} is released.`
    : kept ? `${released}; ${kept}` : released;
  const unknown = notKnownHeld(stillHeld);
  if (unknown.length === 0) return [text, isOfCase ? 'bad' : 'good'];
  return [[text.endsWith('.') ? text : `${text}.`, ...unknown].join(' '), 'bad'];
}

async function releaseHold(recording, tag) {
  const question = { title: `Release ${tag}?`, about: nameOf(recording), text: 'If no other hold covers the recording, the policy may delete it again. A deleted copy cannot be brought back.', go: 'Release', isDangerous: true };
  const answer = await act(question, `${recordingPath(recording.recordingId)}/release`, (left) => releaseOutcome(`${tag} is released`, tag, 'this recording', left), () => ({ case: tag }));
  if (answer) refreshRecording();
}
