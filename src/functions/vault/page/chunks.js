// A recording's chunks with their proof, and what the operator may do with them.

/** What the operator found out in this page, by chunk: it stays while the page stays. */
const verifications = new Map();

function chunksPart({ chunkList }, canAct) {
  return h('section', { class: 'card', 'aria-labelledby': 'chunks-title' }, h('h2', { id: 'chunks-title' }, 'Files and their proof'),
    chunkList.length === 0 ? h('p', { class: 'hint' }, 'No file has been announced yet.') : chunkList.map((chunk) => chunkPart(chunk, canAct)));
}

function chunkPart(chunk, canAct) {
  const { documentId, index, state, sha256, failures = [], doubts = [], claimed } = chunk;
  const notices = chunk.examination?.notices ?? [];
  const [text, tone] = CHUNK_STATE[state] ?? [state, 'calm'];
  const says = state === 'pending' && claimed ? 'is being exported now' : text;
  const isOpen = ['pending', 'deadLettered'].includes(state);
  const checked = verifications.get(documentId);
  return h('article', { class: 'chunk', 'aria-label': `Chunk ${index}` },
    h('div', { class: 'chunk-head' }, h('h3', null, `Chunk ${index}`), h('p', { class: `chunk-state ${tone}` }, says),
      h('div', { class: 'chunk-tools' },
        canAct && isOpen && button('Retry', () => retryChunk(chunk), { picture: 'refresh', focus: `retry ${documentId}`, label: `Retry chunk ${index}` }),
        canAct && sha256 && button('Verify', () => verifyChunk(chunk), { picture: 'check', focus: `verify ${documentId}`, label: `Verify chunk ${index}` }))),
    checked && h('p', { class: `checked ${checked.tone}` }, icon(checked.tone === 'good' ? 'check' : 'alert'), checked.text),
    facts(
      ['Length', playTime(chunk.durationMs)], ['Size', chunk.sizeBytes == null ? null : `${bytes(chunk.sizeBytes)} (${number(chunk.sizeBytes)} bytes)`],
      ['Proved', chunk.receipt?.receipt?.verifiedAt && moment(chunk.receipt.receipt.verifiedAt, exactTime)],
      ['Media', examinationText(chunk.examination)],
      ['SHA-256', sha256 && idValue(sha256, 'SHA-256')],
      ['File', chunk.file && h('span', { class: 'mono break' }, chunk.file)],
      ['Vault', { backup: 'the backup vault; it comes home with a sweep', external: 'your own storage' }[chunk.vault]],
      ['ACS drops it', chunk.expiresAt && (isOpen || state === 'exported') ? [countdown(chunk.expiresAt), ' (', moment(chunk.expiresAt), ')', chunk.risk && h('span', { class: `risk ${riskClass(chunk.risk)}` }, riskText(chunk.risk))] : null],
      ['Attempts', isOpen ? [number(chunk.attempts), chunk.nextTryAt && [', next ', countdown(chunk.nextTryAt)]] : null],
      ['Document', idValue(documentId, 'Document id')]),
    doubts.length > 0 && h('ul', { class: 'doubts' }, doubts.map((doubt) => h('li', null, icon('alert'), sentence(doubt)))),
    notices.length > 0 && h('ul', { class: 'notices' }, notices.map((notice) => h('li', null, sentence(noticeText(notice))))),
    failures.length > 0 && h('details', { 'data-keep': `failures ${documentId}`, open: state === 'deadLettered' }, h('summary', { 'data-focus': `failures ${documentId}` }, plural(failures.length, 'recent failure')),
      h('ul', { class: 'failures' }, failures.map(({ at, reason }) => h('li', null, moment(at, exactTime), h('span', null, sentence(reason)))))),
    chunk.receipt && h('details', { 'data-keep': `receipt ${documentId}` }, h('summary', { 'data-focus': `receipt ${documentId}` }, 'Receipt'),
      h('pre', { tabindex: 0 }, JSON.stringify(chunk.receipt, null, 2))),
    h('div', { class: 'chunk-links' },
      chunk.playable && button('Download', () => downloadMedia(chunk), { kind: 'quiet', picture: 'down', focus: `media ${documentId}`, label: `Download chunk ${index}` }),
      chunk.metadataFile && button('ACS metadata', () => showMetadata(chunk), { kind: 'quiet', picture: 'down', focus: `metadata ${documentId}`, label: `ACS metadata of chunk ${index}` }),
      chunk.receipt && copyButton(JSON.stringify(chunk.receipt), 'Receipt', 'Copy receipt')));
}

const VERDICT = { agrees: 'is what event and metadata report', unknown: 'could not be checked', disagrees: 'disagrees with event or metadata' };

/** What a look into a chunk's media has shown, in a line. */
function examinationText(examination) {
  if (!examination) return null;
  const { verdict, reason, container, channels, bitRate, tracks = [] } = examination;
  const codecs = tracks.map(({ codec }) => codec).filter(Boolean).join(', ');
  const found = [container, codecs, channels != null && plural(channels, 'channel'), bitRate != null && `${number(Math.round(bitRate / 1000))} kbit/s`];
  const why = verdict === 'unknown' && reason ? ` (${reason})` : '';
  return `${VERDICT[verdict] ?? verdict}${why}: ${found.filter(Boolean).join(' · ')}`;
}

const NOTICE = {
  silentChannel: ({ channel }) => `channel ${channel} is silent`,
  silentRecording: () => 'the recording is silent',
  blackAndSilent: () => 'the recording is black and silent',
  channelWithoutParticipant: ({ channel }) => `channel ${channel} has no participant`,
  participantWithoutChannel: ({ participants }) => (participants === 1 ? '1 participant has no channel' : `${participants} participants have no channel`),
};
const noticeText = (notice) => NOTICE[notice.kind]?.(notice) ?? notice.kind;

async function retryChunk({ documentId, index }) {
  const answer = await act({ title: `Retry chunk ${index}?`, text: 'Its export is tried again with the next sweep, from the blocks that are there already. Nothing is deleted.', go: 'Retry' },
    `${chunkPath(documentId)}/retry`, () => `Chunk ${index} is opened again; the next sweep exports it`);
  if (answer) refreshRecording();
}

async function verifyChunk({ documentId, index, sizeBytes }) {
  const question = { title: `Verify chunk ${index}?`, text: `The file is read from end to end (${bytes(sizeBytes)}) and its SHA-256 compared with the receipt. Nothing is changed.`, go: 'Verify' };
  const said = (answer) => {
    const found = answer.verified
      ? { tone: 'good', text: `Verified at ${clockSeconds(serverNow())}: ${number(answer.sizeBytes)} bytes, the SHA-256 agrees with the receipt.` }
      : { tone: 'bad', text: `Not verified: ${answer.problem}` };
    verifications.set(documentId, found);
    return [found.text, found.tone];
  };
  if (!await act(question, `${chunkPath(documentId)}/verify`, said)) return;
  shown.parts.chunks.written = null;
  refreshRecording();
}

async function addHold(recordingId) {
  const fields = [{ name: 'case', label: 'Case', required: true }, { name: 'by', label: 'By whom' }, { name: 'note', label: 'Note' }];
  const question = { title: 'Hold this recording?', text: 'It is deleted neither at ACS nor in the vault until every case is released, whatever the retention policy says.', go: 'Hold', fields };
  await act(question, `${recordingPath(recordingId)}/hold`, () => 'The recording is held', (values) => values);
  // Also a refusal may have held what there still is.
  refreshRecording();
}

async function releaseHold(recordingId, tag) {
  const question = { title: `Release ${tag}?`, text: 'If no other case holds the recording, it is deleted again as the policy says. What is deleted cannot be brought back.', go: 'Release', isDangerous: true };
  const answer = await act(question, `${recordingPath(recordingId)}/release`, () => `${tag} is released`, () => ({ case: tag }));
  if (answer) refreshRecording();
}

async function downloadMedia({ documentId, file }) {
  try {
    const { url } = await ticket(documentId);
    h('a', { href: url, download: file?.split('/').at(-1) ?? documentId }).click();
  } catch (error) {
    toast(error.message, 'bad');
  }
}

async function showMetadata({ documentId, metadataFile }) {
  try {
    const metadata = await request(`${chunkPath(documentId)}/metadata`);
    const address = URL.createObjectURL(new Blob([JSON.stringify(metadata, null, 2)], { type: 'application/json' }));
    h('a', { href: address, download: metadataFile.split('/').at(-1) }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch (error) {
    toast(error.message, 'bad');
  }
}
