// The day calendar: how complete each day is. Days are days of UTC, as the vault counts them.

/** Lost recordings that are assigned to their days; with more a day's losses are a lower bound. */
const LOST_READ = 200;

/** How many recordings of each day are lost, by the day they started. */
async function lostByDay({ from, to }) {
  const { recordings, continuation, notSearched } = await request(`recordings?${parameters({ state: 'lost', from, to, top: LOST_READ })}`, { quiet: true });
  const counts = new Map();
  for (const { startedAt } of recordings.filter((recording) => recording.startedAt)) counts.set(isoDay(startedAt), (counts.get(isoDay(startedAt)) ?? 0) + 1);
  return { counts, isCapped: Boolean(continuation ?? notSearched) };
}

/**
 * A day in words: `complete` is said only of a day that has ended, and of which every recording was looked at, if nothing is wrong
 * that may concern any day, and everything was checked.
 */
function completeness(day, lost, notChecked) {
  if (!lost) return { tone: 'calm', text: 'not checked' };
  const lostHere = lost.counts.get(day.day) ?? 0;
  const open = Math.max(0, day.incomplete - lostHere);
  const parts = [lostHere > 0 && `${number(lostHere)}${lost.isCapped ? '+' : ''} lost`, open > 0 && `${number(open)}${day.isCapped ? '+' : ''} open`, day.findings > 0 && plural(day.findings, 'finding')].filter(Boolean);
  if (parts.length > 0) return { tone: lostHere > 0 ? 'bad' : 'warn', text: parts.join(', ') };
  if (day.isCapped) return { tone: 'calm', text: 'not checked' };
  if (day.recordings === 0) return { tone: 'none', text: 'none' };
  if (notChecked.length > 0) return { tone: 'calm', text: 'none open' };
  return day.isOver ? { tone: 'good', text: 'complete' } : { tone: 'calm', text: 'none open yet' };
}

function calendar(days, lost, notChecked) {
  const weekday = (new Date(`${days[0].day}T00:00:00Z`).getUTCDay() + 6) % 7;
  const cell = (day, index) => {
    const { tone, text } = completeness(day, lost, notChecked);
    const name = dayName(day.day);
    const counts = `${plural(day.recordings, 'recording')}${day.isCapped ? ' or more' : ''}, ${plural(day.minutes, 'minute')}`;
    const link = h('a', { href: `#/recordings?${parameters({ from: day.day, to: day.day, zone: 'UTC' })}`, class: tone, title: `${name}: ${counts}; as of ${exactTime(day.asOf)}`, 'data-focus': `calendar ${day.day}` },
      h('span', { class: 'calendar-day' }, name.replace(/^\w+,? /, '')), h('span', { class: 'calendar-text' }, text), h('span', { class: 'calendar-count' }, day.recordings > 0 && [`${number(day.recordings)}${day.isCapped ? '+' : ''}`, h('span', { class: 'unseen' }, day.recordings === 1 ? ' recording' : ' recordings')]));
    return h('li', { class: index === 0 ? `starts-${weekday}` : null }, link);
  };
  return [
    h('div', { class: 'weekdays', 'aria-hidden': 'true' }, ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].map((name) => h('span', null, name))),
    h('ol', { class: 'calendar' }, days.map(cell)),
    h('p', { class: 'hint' }, 'Days are UTC days. "Open" recordings are on the way or need attention. "Findings" are those of the last complete check. The number is the count of recordings.', ` Every day was read at ${exactTime(days.map(({ asOf }) => asOf).sort()[0])} or later.`),
    notChecked.length > 0 && h('p', { class: 'hint' }, `No day is called complete: ${notChecked.join('; ')}.`),
  ];
}
