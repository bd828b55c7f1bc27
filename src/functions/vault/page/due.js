// What is due: recordings that need attention or have a deadline, nearest first, with call, person, reason and next step.

/** Rows that are shown. */
const DUE_SHOWN = 50;

/** Who took part, or started it. */
function duePeople({ participantIds = [], participants, startedBy }) {
  const more = participants - participantIds.length;
  if (participantIds.length > 0) return [participantIds.map((id) => h('div', { class: 'mono break' }, id)), more > 0 && `and ${number(more)} more`];
  return startedBy ? [h('div', null, `started by ${startedBy}`)] : 'unknown';
}

/** What the vault did not read of what is due: it may be due earlier than what is shown. */
function dueUnknown({ isCapped, unreadableChunks }) {
  return [
    isCapped && 'Not every recording that is not settled was read. Files that wait for their export are read in the order of their expiry; other deadlines may be missing here.',
    unreadableChunks > 0 && `${plural(unreadableChunks, 'chunk')} without a readable entry: the deadline is not known. Run recording-vault ledger rebuild.`,
  ].filter(Boolean).map((text) => h('p', { class: 'hint' }, text));
}

function dueTable(found) {
  const { recordings, total, isCapped, unreadableChunks } = found;
  const isComplete = !isCapped && unreadableChunks === 0;
  if (recordings.length === 0) return isComplete ? h('p', { class: 'hint' }, 'Nothing is due.') : [h('p', null, 'What is due is not known.'), dueUnknown(found)];
  const row = (recording) => h('tr', null,
    cell('Standing', badge(recording.status)),
    cell('Deadline', recording.nextDeadline ? [deadlineText(recording.status, recording.nextDeadline), ' ', countdown(recording.nextDeadline), h('br'), moment(recording.nextDeadline)] : 'no deadline'),
    cell('Call', h('a', { class: 'mono', href: `#/${recordingPath(recording.recordingId)}`, 'data-focus': `due ${recording.recordingId}`, title: recording.callId ?? recording.recordingId }, shortId(recording.callId ?? recording.recordingId)), recording.startedAt && h('div', { class: 'hint' }, moment(recording.startedAt))),
    cell('Person', duePeople(recording)),
    cell('Reason', recording.reasons?.length > 0 ? sentence(recording.reasons[0]) : status(recording.status).says, recording.reasons?.length > 1 && h('div', { class: 'hint' }, `and ${number(recording.reasons.length - 1)} more`)),
    cell('Next step', nextStep(recording)));
  const more = total > recordings.length;
  return [h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Due recordings' }, h('table', { class: 'due-table cards' }, h('caption', { class: 'unseen' }, 'Recordings that need attention or are due, nearest deadline first'),
    tableHead('Standing', 'Deadline', 'Call', 'Person', 'Reason', 'Next step'), h('tbody', null, recordings.map(row)))),
    more && h('p', { class: 'hint' }, `${number(recordings.length)} of ${number(total)}${isCapped ? ' or more' : ''} are shown, nearest deadline first; the tiles list all.`),
    dueUnknown(found)];
}

const due = { found: null, reading: new Reading() };

async function loadDue({ quiet = false } = {}) {
  if (!vault.summary) return;
  const turn = due.reading.begin();
  try {
    const found = await request(`deadlines/recordings?${parameters({ top: DUE_SHOWN })}`, { quiet });
    if (!due.reading.takes(turn)) return;
    due.found = found;
    drawDue();
  } catch (error) {
    if (quiet && due.found) due.reading.isOutdated(turn, $('due'), error);
    else {
      due.reading.forget();
      due.found = null;
      replace($('due'), failure(error, loadDue));
    }
  }
}

function drawDue() {
  const scroll = $('due').querySelector('.scroll')?.scrollTop ?? 0;
  replace($('due'), dueTable(due.found));
  const box = $('due').querySelector('.scroll');
  if (box) box.scrollTop = scroll;
}
