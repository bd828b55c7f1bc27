// A recording's files with their proof.

/** Results of `Verify` by chunk, for as long as the page is open and the chunk does not change. */
const verifications = new Map();

/** The result for a chunk, unless the chunk has changed since it was first shown with it. */
function verificationOf({ status: state }, { documentId, state: chunkState, sha256, doubts }) {
  const found = verifications.get(documentId);
  if (!found) return null;
  const now = JSON.stringify([state, chunkState, sha256, doubts]);
  found.shownWith ??= now;
  if (found.shownWith === now) return found;
  verifications.delete(documentId);
  return null;
}

/** Why there is no file, by standing. */
const NO_FILE = {
  lost: 'ACS dropped the files before they were exported.', missing: 'No event announced a file.', removed: 'The retention policy deleted the files.', failed: 'ACS could not start the recording; there are no files.', acknowledged: 'There is no file; its loss was acknowledged.', unknown: 'Not known: the ledger is not readable.',
};

function chunksPart(recording, mayAct) {
  const { chunkList, status: state } = recording;
  return h('section', { class: 'card', 'aria-labelledby': 'chunks-title' }, h('h2', { id: 'chunks-title' }, 'Files and their proof'),
    chunkList.length === 0 ? h('p', { class: 'hint' }, NO_FILE[state] ?? 'No file has been announced yet.') : chunkList.map((chunk) => chunkPart(recording, chunk, mayAct)));
}

function chunkPart(recording, chunk, mayAct) {
  const { documentId, index, state, sha256, doubts = [], claimed } = chunk;
  const failures = [...(chunk.failures ?? [])].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  // Of a single chunk the buttons are where the standing is.
  const isOne = recording.chunkList.length === 1;
  const notices = chunk.examination?.notices ?? [];
  const [text, tone] = CHUNK_STATE[state] ?? [state, 'calm'];
  const says = state === 'pending' && claimed ? 'is being exported now' : text;
  const isOpen = isOpenChunk(chunk);
  const checked = verificationOf(recording, chunk);
  return h('article', { class: 'chunk', 'aria-label': `Chunk ${index}` },
    h('div', { class: 'chunk-head' }, h('h3', null, `Chunk ${index}`), h('p', { class: `chunk-state ${tone}` }, says),
      h('div', { class: 'chunk-tools' },
        mayAct && isWorthARetry(recording, chunk) && !isOne && button('Retry', () => retryChunks(recording, [chunk]), { picture: 'refresh', focus: `retry ${documentId}`, label: `Retry chunk ${index}` }),
        mayAct && sha256 && !['removing', 'removed'].includes(state) && !isOne && button('Verify', () => verifyChunks(recording, [chunk]), { picture: 'check', focus: `verify ${documentId}`, label: `Verify chunk ${index}` }))),
    checked && h('p', { class: `checked ${checked.tone}` }, icon(checked.tone === 'good' ? 'check' : 'alert'), h('span', null, checked.tone === 'good' ? 'Verified at ' : 'Not verified at ', moment(checked.at, exactTime), `: ${checked.text}`)),
    facts(
      ['Length', chunkLength(chunk)], ['Size', chunk.sizeBytes == null ? null : `${bytes(chunk.sizeBytes)} (${number(chunk.sizeBytes)} bytes)`],
      ['Proved', chunk.receipt?.receipt?.verifiedAt && moment(chunk.receipt.receipt.verifiedAt, exactTime)],
      ['Media', examinationText(chunk.examination)],
      ['SHA-256', sha256 && idValue(sha256, 'SHA-256')],
      ['File', chunk.file && h('span', { class: 'mono break' }, chunk.file)],
      ['Vault', { backup: 'the backup vault; a sweep moves it to the main vault', external: 'your own storage' }[chunk.vault]],
      ['Time at ACS ends', chunk.expiresAt && (isOpen || state === 'exported') ? [countdown(chunk.expiresAt), ' (', moment(chunk.expiresAt), ')', chunk.risk && h('span', { class: `risk ${riskClass(chunk.risk)}` }, isPast(chunk.expiresAt) ? 'the time has ended' : riskText(chunk.risk))] : null],
      ['Attempts', isOpen ? [number(chunk.attempts), chunk.nextTryAt && [', next ', countdown(chunk.nextTryAt)]] : null],
      ['Document', idValue(documentId, 'Document id')]),
    placesPart(recording, chunk, mayAct),
    doubts.length > 0 && h('ul', { class: 'doubts' }, doubts.map((doubt) => h('li', null, icon('alert'), sentence(doubt)))),
    notices.length > 0 && h('ul', { class: 'notices' }, notices.map((notice) => h('li', null, sentence(noticeText(notice))))),
    failures.length > 0 && h('details', { 'data-keep': `failures ${documentId}`, open: state === 'deadLettered' }, h('summary', { 'data-focus': `failures ${documentId}` }, `${plural(failures.length, 'recent failure')}, newest first`),
      h('ul', { class: 'failures' }, failures.map(({ at, reason }) => h('li', null, moment(at, exactTime), h('span', null, sentence(reason)))))),
    chunk.receipt && h('details', { 'data-keep': `receipt ${documentId}` }, h('summary', { 'data-focus': `receipt ${documentId}` }, 'Receipt'),
      h('pre', { tabindex: 0 }, JSON.stringify(chunk.receipt, null, 2))),
    chunk.damage && h('p', { class: 'bad-text break' }, 'The copy is damaged, by the verification at ', moment(chunk.damage.foundAt, exactTime), `: ${chunk.damage.problem}. Until it is whole again, the file is downloaded as it is${chunk.metadataFile ? ', and ACS\'s metadata is in the evidence package only' : ''}.`),
    h('div', { class: 'chunk-links' },
      chunk.playable && button(chunk.damage ? 'Download the damaged file' : 'Download', () => downloadMedia(chunk), { kind: 'quiet', picture: 'down', focus: `media ${documentId}`, label: chunk.damage ? `Download the damaged file of chunk ${index}` : `Download chunk ${index}` }),
      chunk.metadataFile && !chunk.damage && button('ACS metadata', () => downloadMetadata(chunk), { kind: 'quiet', picture: 'down', focus: `metadata ${documentId}`, label: `ACS metadata of chunk ${index}` }),
      chunk.receipt && copyButton(JSON.stringify(chunk.receipt), 'Receipt', 'Copy receipt')));
}

const PLACE_STATE = { pending: 'not exported yet', proved: 'in the vault', exported: 'in the vault', sourceDeleted: 'in the vault', sourceLeft: 'in the vault', missing: 'could not be read', refused: 'refused', removed: 'deleted from the vault', deadLettered: 'given up', expired: 'lost' };

/** The files of a document for which events name more than one place. */
function placesPart(recording, chunk, mayAct) {
  const { documentId, index, places = [], placesToChoose } = chunk;
  if (places.length < 2) return null;
  const row = (one) => {
    const { place, chosen, state, location, file, sizeBytes, sha256, problem } = one;
    return h('li', null, h('div', null, h('b', null, `Place ${place}`), chosen && h('span', { class: 'hint' }, ', represents the document'), `, ${PLACE_STATE[state] ?? state}`, sizeBytes != null && `, ${bytes(sizeBytes)}`),
      location && h('div', { class: 'mono break' }, location), file && h('div', { class: 'mono break hint' }, file), sha256 && h('div', null, 'SHA-256 ', idValue(sha256, `SHA-256 of place ${place}`)), problem && h('div', { class: 'bad-text' }, sentence(problem)),
      mayAct && placesToChoose != null && sha256 && button(`Accept place ${place}`, () => acceptPlace(recording, chunk, place), { picture: 'check', focus: `place ${place} ${documentId}`, label: `Accept place ${place} of chunk ${index}` }));
  };
  return h('details', { 'data-keep': `places ${documentId}`, open: placesToChoose != null }, h('summary', { 'data-focus': `places ${documentId}` }, `${plural(places.length, 'place')}${placesToChoose != null ? ': choose one' : ''}`),
    h('ul', { class: 'failures places' }, places.map(row)));
}

/** One length; where the media itself has another, both are named. */
function chunkLength(chunk) {
  const { durationMs, examination } = chunk;
  const measured = examination?.durationMs;
  if (durationMs == null) return playTime(measured);
  if (measured == null || Math.abs(measured - durationMs) < LENGTHS_DIFFER_MS) return playTime(durationMs);
  const paused = pausesInFile(chunk).isCut ? `; ${playTime(pausedMs(chunk))} were paused` : '';
  return [playTime(durationMs), h('span', { class: 'hint' }, ` by ACS's metadata; the file itself has ${playTime(measured)}${examination.durationIsEstimate ? ' (estimate)' : ''}${paused}`)];
}

const MEDIA_VERDICT = { agrees: 'agrees with event and metadata', unknown: 'could not be checked', disagrees: 'disagrees with event or metadata' };

/** What the vault found in a chunk's media, in a line. */
function examinationText(examination) {
  if (!examination) return null;
  const { verdict, reason, container, channels, bitRate, tracks = [] } = examination;
  const codecs = tracks.map(({ codec }) => codec).filter(Boolean).join(', ');
  const found = [container, codecs, channels != null && plural(channels, 'channel'), bitRate != null && `${number(Math.round(bitRate / 1000))} kbit/s`];
  const why = verdict === 'unknown' && reason ? ` (${reason})` : '';
  return `${MEDIA_VERDICT[verdict] ?? verdict}${why}: ${found.filter(Boolean).join(' · ')}`;
}

const NOTICE = {
  silentChannel: ({ channel }) => `channel ${channel} is silent`,
  silentRecording: () => 'the recording is silent',
  blackAndSilent: () => 'hardly any picture data and no sound',
  zeroBytes: ({ atByte, bytes: zeros }) => `${bytes(zeros)} of zero bytes in the media, from byte ${number(atByte)} on`,
  channelWithoutParticipant: ({ channel }) => `channel ${channel} has no participant`,
  participantWithoutChannel: ({ participants }) => (participants === 1 ? '1 participant has no channel' : `${participants} participants have no channel`),
};
const noticeText = (notice) => NOTICE[notice.kind]?.(notice) ?? notice.kind;

/** The vault's bytes, by a ticket: the browser saves them without holding them in memory. A damaged file is named as damaged. */
async function downloadMedia({ documentId, file }) {
  try {
    const { url, damage } = await ticket(documentId);
    // A browser does not say why a download is refused.
    const { ok } = await fetch(url, { method: 'HEAD', cache: 'no-store' }).catch(() => ({ ok: false }));
    const refused = ok ? null : await whyRefused(url);
    if (refused) {
      toast(refused, 'bad');
      return;
    }
    h('a', { href: url, download: `${damage ? 'damaged-' : ''}${file?.split('/').at(-1) ?? documentId}` }).click();
    if (damage) toast(`This file is damaged, and is saved as it is: ${damage.problem}.`, 'bad');
  } catch (error) {
    toastError(error);
  }
}

/** ACS's bytes as the vault keeps them: their SHA-256 is the one in the receipt. */
const downloadMetadata = ({ documentId, metadataFile }) => download(`${chunkPath(documentId)}/metadata`, metadataFile.split('/').at(-1));
