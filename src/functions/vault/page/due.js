// What is due: recordings that need attention or have a deadline, nearest first, with call, person, reason and next step.

const DUE_STANDINGS = ['lost', 'failed', 'atRisk', 'unknown', 'missing', 'incomplete', 'doubtful', 'exporting', 'waiting', 'awaitingFiles'];
/** Rows of one standing that are asked for, and rows that are shown. */
const DUE_READ = 50;
const DUE_SHOWN = 50;

/** Recordings of every standing that the summary counts. */
async function dueRecordings({ tiles }) {
  const asked = DUE_STANDINGS.filter((state) => tiles[state] > 0);
  const pages = await Promise.all(asked.map((state) => request(`recordings?${parameters({ state, top: DUE_READ })}`, { quiet: true })));
  const time = ({ nextDeadline }) => (nextDeadline ? Date.parse(nextDeadline) : Infinity);
  const rank = ({ status: state }) => DUE_STANDINGS.indexOf(state);
  const recordings = pages.flatMap((page) => page.recordings).sort((one, other) => time(one) - time(other) || rank(one) - rank(other));
  return { recordings, isCapped: pages.some((page) => page.continuation) };
}

/** Who took part, or started it. */
function duePeople({ participantIds = [], participants, startedBy }) {
  const more = participants - participantIds.length;
  if (participantIds.length > 0) return [participantIds.map((id) => h('div', { class: 'mono break' }, id)), more > 0 && `and ${number(more)} more`];
  return startedBy ? [h('div', null, `started by ${startedBy}`)] : 'unknown until exported';
}

function dueTable({ recordings, isCapped }) {
  if (recordings.length === 0) return h('p', { class: 'hint' }, 'Nothing is due.');
  const row = (recording) => h('tr', null,
    cell('Standing', badge(recording.status)),
    cell('Deadline', recording.nextDeadline ? [deadlineText(recording.status, recording.nextDeadline), ' ', countdown(recording.nextDeadline), h('br'), moment(recording.nextDeadline)] : 'no deadline'),
    cell('Call', h('a', { class: 'mono', href: `#/${recordingPath(recording.recordingId)}`, 'data-focus': `due ${recording.recordingId}`, title: recording.callId ?? recording.recordingId }, shortId(recording.callId ?? recording.recordingId)), recording.startedAt && h('div', { class: 'hint' }, moment(recording.startedAt))),
    cell('Person', duePeople(recording)),
    cell('Reason', recording.reasons?.length > 0 ? sentence(recording.reasons[0]) : status(recording.status).says, recording.reasons?.length > 1 && h('div', { class: 'hint' }, `and ${number(recording.reasons.length - 1)} more`)),
    cell('Next step', nextStep(recording)));
  const more = recordings.length > DUE_SHOWN || isCapped;
  return [h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Due recordings' }, h('table', { class: 'due-table cards' }, h('caption', { class: 'unseen' }, 'Recordings that need attention or are due, nearest deadline first'),
    tableHead('Standing', 'Deadline', 'Call', 'Person', 'Reason', 'Next step'), h('tbody', null, recordings.slice(0, DUE_SHOWN).map(row)))),
    more && h('p', { class: 'hint' }, `The first ${number(Math.min(DUE_SHOWN, recordings.length))} are shown; the tiles list all.`)];
}

const due = { found: null };

async function loadDue({ quiet = false } = {}) {
  if (!vault.summary) return;
  try {
    due.found = await dueRecordings(vault.summary);
    drawDue();
  } catch (error) {
    if (!quiet || !due.found) replace($('due'), failure(error, loadDue));
  }
}

function drawDue() {
  const scroll = $('due').querySelector('.scroll')?.scrollTop ?? 0;
  replace($('due'), dueTable(due.found));
  const box = $('due').querySelector('.scroll');
  if (box) box.scrollTop = scroll;
}
