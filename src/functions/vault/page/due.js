// What is due: recordings that need attention or have a deadline, nearest first, with call, person, reason and next step.

const DUE_STANDINGS = ['lost', 'failed', 'atRisk', 'unknown', 'missing', 'incomplete', 'doubtful', 'exporting', 'waiting', 'awaitingFiles'];
/** Rows of one standing that are asked for, and rows that are shown. */
const DUE_READ = 50;
const DUE_SHOWN = 50;
/** Rows whose people are looked up: each is a request of its own. */
const DUE_PEOPLE = 10;

/** Recordings of every standing that the summary counts. */
async function dueRecordings({ tiles }) {
  const asked = DUE_STANDINGS.filter((state) => tiles[state] > 0);
  const pages = await Promise.all(asked.map((state) => request(`recordings?${parameters({ state, top: DUE_READ })}`, { quiet: true })));
  const time = ({ nextDeadline }) => (nextDeadline ? Date.parse(nextDeadline) : Infinity);
  const rank = ({ status: state }) => DUE_STANDINGS.indexOf(state);
  const recordings = pages.flatMap((page) => page.recordings).sort((one, other) => time(one) - time(other) || rank(one) - rank(other));
  return { recordings, isCapped: pages.some((page) => page.continuation) };
}

/** Who took part or started it, by recording, for the first rows. */
async function duePeople(recordings) {
  const looked = recordings.slice(0, DUE_PEOPLE).map(async ({ recordingId }) => {
    const { participantList, startedBy } = await request(recordingPath(recordingId), { quiet: true });
    const people = participantList.map(({ id }) => id);
    return [recordingId, people.length > 0 ? people : startedBy ? [`started by ${startedBy}`] : []];
  });
  const found = await Promise.allSettled(looked);
  return new Map(found.filter(({ status: outcome }) => outcome === 'fulfilled').map(({ value }) => value));
}

function dueTable({ recordings, isCapped }, people) {
  if (recordings.length === 0) return h('p', { class: 'hint' }, 'Nothing is due.');
  const person = (recording) => {
    const known = people.get(recording.recordingId);
    if (known?.length > 0) return [known.slice(0, 3).map((id) => h('div', { class: 'mono break' }, id)), known.length > 3 && `and ${number(known.length - 3)} more`];
    return recording.participants > 0 ? plural(recording.participants, 'participant') : 'unknown until exported';
  };
  const row = (recording) => h('tr', null,
    h('td', null, badge(recording.status)),
    h('td', null, recording.nextDeadline ? [deadlineText(recording.status), ' ', countdown(recording.nextDeadline), h('br'), moment(recording.nextDeadline)] : 'no deadline'),
    h('td', { class: 'mono' }, h('a', { href: `#/${recordingPath(recording.recordingId)}`, 'data-focus': `due ${recording.recordingId}`, title: recording.callId ?? recording.recordingId }, shortId(recording.callId ?? recording.recordingId)), recording.startedAt && h('div', { class: 'hint' }, moment(recording.startedAt))),
    h('td', null, person(recording)),
    h('td', null, recording.reasons?.length > 0 ? sentence(recording.reasons[0]) : status(recording.status).says, recording.reasons?.length > 1 && h('div', { class: 'hint' }, `and ${number(recording.reasons.length - 1)} more`)),
    h('td', null, nextStep(recording)));
  const more = recordings.length > DUE_SHOWN || isCapped;
  return [h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Due recordings' }, h('table', { class: 'due-table' }, h('caption', { class: 'unseen' }, 'Recordings that need attention or are due, nearest deadline first'),
    tableHead('Standing', 'Deadline', 'Call', 'Person', 'Reason', 'Next step'), h('tbody', null, recordings.slice(0, DUE_SHOWN).map(row)))),
    more && h('p', { class: 'hint' }, `The first ${number(Math.min(DUE_SHOWN, recordings.length))} are shown; the tiles list all.`)];
}

const due = { found: null, people: new Map() };

async function loadDue({ quiet = false } = {}) {
  if (!vault.summary) return;
  try {
    due.found = await dueRecordings(vault.summary);
    drawDue();
    due.people = await duePeople(due.found.recordings);
    drawDue();
  } catch (error) {
    if (!quiet || !due.found) replace($('due'), failure(error, loadDue));
  }
}

function drawDue() {
  const scroll = $('due').querySelector('.scroll')?.scrollTop ?? 0;
  replace($('due'), dueTable(due.found, due.people));
  const box = $('due').querySelector('.scroll');
  if (box) box.scrollTop = scroll;
}
