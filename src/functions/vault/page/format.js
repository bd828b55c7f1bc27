// How things are written: numbers, sizes, times, and the words for states.

const settings = {
  read: (name) => { try { return localStorage.getItem(`recording-vault.${name}`); } catch { return null; } },
  write: (name, value) => { try { localStorage.setItem(`recording-vault.${name}`, value); } catch { /* it holds for this page then */ } },
};

let inUtc = settings.read('zone') === 'utc';
/** How far the server's clock is ahead of this one. */
let clockAhead = 0;
const serverNow = () => Date.now() + clockAhead;

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const integer = new Intl.NumberFormat('en');
const number = (value) => integer.format(Math.round(value));
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
/** Problems of the vault begin small and have no full stop: they end log lines as well. */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const money = (value) => `$${value < 10 ? value.toFixed(value < 0.1 && value > 0 ? 4 : 2) : number(value)}`;

function bytes(value) {
  if (value == null) return '–';
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let step = 0;
  for (; value >= 1000 && step < units.length - 1; step += 1) value /= 1000;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

function formatter(options) {
  const make = (timeZone) => new Intl.DateTimeFormat('en-GB', { ...options, timeZone });
  const [local, utc] = [make(undefined), make('UTC')];
  return (time) => (time == null ? '–' : (inUtc ? utc : local).format(new Date(time)));
}
const dateTime = formatter({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
const exactTime = formatter({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' });
const clockTime = formatter({ hour: '2-digit', minute: '2-digit' });
const dayName = (day) => new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(`${day}T00:00:00Z`));
const isoDay = (time) => new Date(time).toISOString().slice(0, 10);
const isDay = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));
const nextDay = (day) => isoDay(Date.parse(`${day}T00:00:00Z`) + DAY);
/** The zone of dates and times: UTC, or the one of this browser. */
const zoneName = () => (inUtc ? 'UTC' : new Intl.DateTimeFormat().resolvedOptions().timeZone);

function isZone(name) {
  try { return Boolean(new Intl.DateTimeFormat('en', { timeZone: name })); } catch { return false; }
}

/** When a day begins in a zone. The offset is that of the time found first, which a change of clocks can move once. */
function startOfDay(day, timeZone) {
  const midnight = Date.parse(`${day}T00:00:00Z`);
  const fields = new Intl.DateTimeFormat('en', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  const onTheWall = (time) => {
    const part = Object.fromEntries(fields.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
  };
  let time = midnight;
  for (let step = 0; step < 2; step += 1) time += midnight - onTheWall(time);
  return new Date(time).toISOString();
}

/** A moment as an element: written in the zone that is chosen, exact for those who point at it. */
const moment = (time, write = dateTime) => (time ? h('time', { datetime: time, title: exactTime(time) }, write(time)) : '–');

/** A sentence of the vault, with its times in the zone that is chosen. */
const withMoments = (text) => text.split(/(\d{4}-\d{2}-\d{2}T[\d:.]+Z)/).map((part, index) => (index % 2 === 1 ? moment(part) : part));

/** `1:02:03` */
function playTime(ms) {
  if (ms == null) return '–';
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ''}${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

/** `2 h 05 min`, `4 min 10 s`: what is left, or how long ago. */
function span(ms) {
  const seconds = Math.max(0, Math.floor(Math.abs(ms) / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  return minutes ? `${minutes} min ${String(seconds % 60).padStart(2, '0')} s` : `${seconds} s`;
}

/** A time that counts down by itself. */
const countdown = (time) => h('time', { datetime: time, title: exactTime(time), 'data-until': time }, left(time));
const left = (time) => {
  const ms = Date.parse(time) - serverNow();
  return ms >= 0 ? `in ${span(ms)}` : `${span(ms)} ago`;
};
const everySecond = () => document.querySelectorAll('[data-until]').forEach((element) => say(element, left(element.dataset.until)));

/** What a standing is called and how it looks; `says` begins with its meaning (`Standing::meaning`). */
const STATUS = {
  active: { name: 'Recording', tone: 'live', picture: 'record', says: 'It is being recorded. Its files follow after it has ended.' },
  paused: { name: 'Paused', tone: 'live', picture: 'pause', says: 'Its recording is paused. The call continues; nothing of it is recorded until the recording resumes.' },
  waiting: { name: 'Waiting', tone: 'busy', picture: 'clock', says: 'It waits for its export, with time to spare. The next sweep exports it, nearest deadline first.' },
  exporting: { name: 'Exporting', tone: 'busy', picture: 'move', says: 'A process is exporting it.' },
  atRisk: { name: 'At risk', tone: 'bad', picture: 'alert', says: 'There is no proved copy at home, and half of the time at ACS or more has passed, or ACS has dropped the source and the copy in the backup vault could not be moved home, or attempts have failed in a row for 10 minutes, or only a person can end what prevents it.' },
  awaitingFiles: { name: 'Awaiting files', tone: 'busy', picture: 'clock', says: 'It ended, and not all its files are announced yet.' },
  backupOnly: { name: 'Backup only', tone: 'busy', picture: 'move', says: 'The only proved copy is in the backup vault. The sweep moves it home.' },
  verified: { name: 'Verified', tone: 'good', picture: 'check', says: 'The proved copy is in the vault at home.' },
  failed: { name: 'Failed', tone: 'bad', picture: 'cross', says: 'The export was given up, or ACS could not start the recording. See the reasons below.' },
  missing: { name: 'Missing', tone: 'bad', picture: 'alert', says: 'It ended, and no event announced a file in time.' },
  incomplete: { name: 'Incomplete', tone: 'bad', picture: 'alert', says: 'Files are announced, and not all of them, or ACS could not store all of one, or another form of one has no copy.' },
  doubtful: { name: 'Doubtful', tone: 'bad', picture: 'alert', says: 'The copy is exact, and its media contradicts its event or metadata, or its entry was rebuilt, or events name different recordings for it; or a verification found the copy damaged. Look at it, then accept it; restore a damaged copy.' },
  unknown: { name: 'Unknown', tone: 'bad', picture: 'alert', says: 'An account or an entry is not readable, or ACS does not confirm that it runs, or a deletion from the vault was begun and is not finished.' },
  acknowledged: { name: 'Acknowledged', tone: 'calm', picture: 'check', says: 'What is wrong with it was acknowledged with a reason.' },
  inPlace: { name: 'In your storage', tone: 'good', picture: 'check', says: 'It is in your own storage, and was checked there.' },
  erased: { name: 'Erased', tone: 'calm', picture: 'gone', says: 'It was erased on request.' },
  lost: { name: 'Lost', tone: 'bad', picture: 'cross', says: 'ACS has dropped a file, and no copy of it is proved.' },
  removed: { name: 'Removed', tone: 'calm', picture: 'gone', says: 'Its copy was deleted from the vault by policy.' },
};
const status = (name) => STATUS[name] ?? { name, tone: 'calm', picture: 'gone', says: '' };
const badge = (name) => h('span', { class: `badge ${status(name).tone}` }, icon(status(name).picture), status(name).name);

const CHUNK_STATE = {
  pending: ['waiting for export', 'busy'],
  exported: ['in the vault and proved; still at ACS as well', 'good'],
  sourceDeleted: ['in the vault and proved; deleted at ACS', 'good'],
  sourceLeft: ['in the vault and proved; not deleted at ACS', 'good'],
  inPlace: ['in your own storage, checked there', 'good'],
  removing: ['being deleted by the retention policy', 'calm'],
  removed: ['deleted by the retention policy', 'calm'],
  expired: ['lost: ACS dropped it before the export', 'bad'],
  deadLettered: ['given up', 'bad'],
  unknown: ['not in the ledger', 'bad'],
  unreadable: ['its entry in the ledger is not readable', 'bad'],
};

/** Standings whose files were exported. */
const EXPORTED = ['verified', 'doubtful', 'removed', 'backupOnly'];
/** How many people took part; ACS names them in the metadata, which comes with the files. */
const peopleCount = ({ participants, hasMetadata, peopleDropped }) => (participants > 0 ? number(participants) : peopleDropped ? 'deleted' : hasMetadata ? number(0) : 'unknown');

/** What a person does next, as the vault names it, for someone at this page. */
const STEPS = {
  retry: 'Fix the cause, then retry the export.',
  accept: 'Check the copy. If it is right, accept it; its source may be deleted then.',
  acknowledge: 'Look for another copy. If there is none, acknowledge the loss with a reason.',
  checkExport: 'Check the failures below, the vault and the sweep; then retry.',
  checkEvents: 'Check the Event Grid subscription and replay its dead letters.',
  startAgain: 'Start the recording again, then acknowledge the failure with a reason.',
  importAgain: 'Import its file again: recording-vault import. If it is not needed, acknowledge that with a reason.',
  rebuild: 'Run recording-vault ledger rebuild. If the vaults have no receipt of it, replay its event afterwards, or import its file.',
  restoreAccount: 'Restore an earlier version of its account in the ledger; if there is none, recording-vault replay of the event that announced its files writes a new one.',
  restoreCopy: 'Restore the file in the vault from an earlier version or a backup, then verify the copy.',
  finishDeletion: 'Run recording-vault retention apply or gdpr erase again, whichever began it. What is held is kept, as far as it is there; if a part is gone, acknowledge that with a reason.',
};
const nextStep = (recording) => STEPS[recording.nextStep] ?? recording.advice ?? 'None';
/** What happens at a standing's deadline. */
const DEADLINES = { missing: ['ACS drops unannounced files', 'ACS was to drop unannounced files'], incomplete: ['ACS drops unannounced files', 'ACS was to drop unannounced files'], doubtful: ['ACS drops the source', 'ACS was to drop the source'], awaitingFiles: ['The files count as missing', 'The files were due'] };
const isPast = (time) => time != null && Date.parse(time) < serverNow();
const deadlineText = (state, time) => (DEADLINES[state] ?? ['ACS drops the files', 'ACS was to drop the files'])[isPast(time) ? 1 : 0];

/** `audio + video, MP4`; `audio, 3 channels, WAV` */
function kind(recording) {
  const content = { audio: 'Audio', audioVideo: 'Audio + video' }[recording.content];
  const channels = recording.channels === 'unmixed' ? 'unmixed' : null;
  return [content, channels, recording.format?.toUpperCase()].filter(Boolean).join(', ') || '–';
}

/** ACS's list prices in US dollars a minute; unmixed audio counts each participant. */
const PRICES = { mixedAudioVideo: 0.01, mixedAudio: 0.002, unmixedParticipant: 0.0012 };
