// Charts: what is due in the next hours, and what was recorded on which day.

const RISK = { ninetyPercent: ['90 % of the time has passed', 'r90'], threeQuarters: ['75 % of the time has passed', 'r75'], half: ['half of the time has passed', 'r50'] };
const riskText = (risk) => RISK[risk]?.[0] ?? 'enough time';
const riskClass = (risk) => RISK[risk]?.[1] ?? 'r0';
const RISK_ORDER = ['ninetyPercent', 'threeQuarters', 'half', null];

/** The next 24 hours: a bar for each half hour in which something is due. */
function horizon({ deadlines, isCapped, unreadable }) {
  const [width, height, base, start] = [960, 104, 80, serverNow()];
  const slots = 48, step = width / slots;
  const x = (time) => ((time - start) / DAY) * width;
  const counts = Array.from({ length: slots }, () => new Map());
  for (const { at, risk } of deadlines) {
    const slot = Math.min(slots - 1, Math.max(0, Math.floor((Date.parse(at) - start) / (DAY / slots))));
    counts[slot].set(risk ?? null, (counts[slot].get(risk ?? null) ?? 0) + 1);
  }
  const most = Math.max(3, ...counts.map((slot) => [...slot.values()].reduce((sum, count) => sum + count, 0)));
  const picture = svg('svg', { viewBox: `-2 0 ${width + 4} ${height}`, class: 'horizon', role: 'img', preserveAspectRatio: 'none', 'aria-label': `${plural(deadlines.length, 'deadline')} in the next 24 hours; the table of due recordings follows` });
  const firstHour = Math.ceil(start / HOUR) * HOUR;
  for (let time = firstHour; time < start + DAY; time += HOUR) {
    const isMain = new Date(time)[inUtc ? 'getUTCHours' : 'getHours']() % 3 === 0;
    picture.append(svg('line', { x1: x(time), x2: x(time), y1: base, y2: base + (isMain ? 9 : 4), class: 'tick' }));
  }
  picture.append(svg('line', { x1: 0, x2: width, y1: base, y2: base, class: 'axis' }));
  counts.forEach((slot, index) => {
    let top = base;
    for (const risk of RISK_ORDER.filter((risk) => slot.has(risk))) {
      const size = Math.max(5, (slot.get(risk) / most) * (base - 8));
      top -= size;
      const says = `${clockTime(start + (index * DAY) / slots)}: ${plural(slot.get(risk), 'chunk')}, ${riskText(risk)}`;
      picture.append(svg('rect', { x: index * step + 2, y: top, width: step - 4, height: size - 1, rx: 2, class: riskClass(risk) }, svg('title', null, says)));
    }
  });
  const labels = h('div', { class: 'horizon-labels', 'aria-hidden': 'true' }, h('span', { class: 'now' }, 'now'));
  for (let time = firstHour; time < start + DAY - HOUR / 2; time += HOUR) {
    const hour = new Date(time)[inUtc ? 'getUTCHours' : 'getHours']();
    if (hour % 3 !== 0 || time - start < 1.4 * HOUR) continue;
    const label = h('span', { class: [hour % 6 && 'minor', time - start < 3.4 * HOUR && 'near'].filter(Boolean).join(' ') }, clockTime(time));
    label.style.left = `${((time - start) / DAY) * 100}%`;
    labels.append(label);
  }
  return [picture, labels, h('p', { class: 'due-none' }, horizonText({ deadlines, isCapped, unreadable }))];
}

/** "None" is said only where every open file was read. */
function horizonText({ deadlines, isCapped, unreadable }) {
  const unknown = unreadable > 0 && ` ${plural(unreadable, 'open chunk')} without a readable entry: the deadline is not known.`;
  if (deadlines.length > 0) return [`${isCapped || unreadable > 0 ? 'At least ' : ''}${plural(deadlines.length, 'file')} to export, ${isPast(deadlines[0].at) ? 'the first was due' : 'the next is due'} `, countdown(deadlines[0].at), '.', unknown];
  if (isCapped) return ['Not known: not every open file was read.', unknown];
  if (unknown) return ['Not known:', unknown];
  return 'No file waits for its export in the next 24 hours. Recordings that failed or are missing are listed below.';
}

/** A cell of a table that becomes a list in a narrow window, where each cell shows its column's name. */
const cell = (name, ...content) => h('td', { 'data-label': name }, content);
const tableHead = (...names) => h('thead', null, h('tr', null, names.map((name) => h('th', { scope: 'col' }, name))));
/** The end of an id tells more than its beginning: recordings of one resource begin alike. */
const shortId = (id) => (id.length > 22 ? `${id.slice(0, 8)}…${id.slice(-8)}` : id);

/** Recordings and minutes of each day: two charts on one axis of time. */
function dayChart(days, width) {
  const narrow = width < 560;
  const [leftEdge, gap, labelHeight] = [44, 26, 22];
  const rowHeight = narrow ? 84 : 104;
  const step = (width - leftEdge - 4) / Math.max(1, days.length);
  const bar = Math.max(1, Math.min(26, step * 0.72));
  const height = 2 * rowHeight + gap + labelHeight + 18;
  const sum = (name) => days.reduce((total, day) => total + day[name], 0);
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'days', role: 'img', 'aria-label': `${number(sum('recordings'))} recordings and ${number(sum('minutes'))} minutes in ${days.length} days; the table follows` });
  const series = [['recordings', 'Recordings', 18], ['minutes', 'Minutes', 18 + rowHeight + gap]];
  for (const [name, title, top] of series) {
    const most = niceCeiling(Math.max(1, ...days.map((day) => day[name])));
    const base = top + rowHeight;
    picture.append(svg('text', { x: 0, y: top - 6, class: 'series' }, title));
    for (const share of [0.5, 1]) {
      const y = base - share * (rowHeight - 6);
      picture.append(svg('line', { x1: leftEdge, x2: width, y1: y, y2: y, class: 'grid' }), svg('text', { x: leftEdge - 8, y: y + 4, 'text-anchor': 'end', class: 'scale' }, compact(most * share)));
    }
    picture.append(svg('line', { x1: leftEdge, x2: width, y1: base, y2: base, class: 'axis' }));
    days.forEach((day, index) => {
      const size = (day[name] / most) * (rowHeight - 6);
      const x = leftEdge + index * step + (step - bar) / 2;
      if (size > 0) picture.append(svg('rect', { x, y: base - Math.max(1.5, size), width: bar, height: Math.max(1.5, size), rx: Math.min(2, bar / 3), class: `bar ${name}` }));
      if (name === 'recordings' && day.incomplete > 0) picture.append(svg('circle', { cx: x + bar / 2, cy: base - size - 7, r: 3.5, class: 'incomplete' }));
    });
  }
  const every = Math.ceil(64 / step);
  days.forEach((day, index) => {
    if (index % every === 0 && leftEdge + index * step < width - 40) picture.append(svg('text', { x: leftEdge + index * step + (step - bar) / 2, y: height - 4, class: 'scale' }, dayName(day.day).replace(/^\w+,? /, '')));
  });
  const readout = h('p', { class: 'readout', 'aria-hidden': 'true' }, 'Point at a day; a click lists its recordings.');
  days.forEach((day, index) => {
    const over = svg('rect', { x: leftEdge + index * step, y: 12, width: step, height: height - labelHeight - 12, class: 'over' });
    over.addEventListener('pointerenter', () => say(readout, dayText(day)));
    over.addEventListener('click', () => { location.hash = `#/recordings?from=${day.day}&to=${day.day}&zone=UTC`; });
    picture.append(over);
  });
  return [picture, readout];
}

const dayText = (day) => `${dayName(day.day)}: ${plural(day.recordings, 'recording')}, ${plural(day.minutes, 'minute')}${day.isCapped ? ' or more' : ''}${day.incomplete > 0 ? `, ${number(day.incomplete)} not complete` : ''}`;
const compact = (value) => new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(value);

function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].find((step) => step * power >= value) * power;
}

function dayTable(days) {
  const row = (day) => h('tr', null,
    h('th', { scope: 'row' }, h('a', { href: `#/recordings?from=${day.day}&to=${day.day}&zone=UTC`, 'data-focus': `day ${day.day}` }, dayName(day.day))),
    ['recordings', 'minutes', 'incomplete'].map((name) => h('td', null, `${number(day[name])}${day.isCapped ? '+' : ''}`)));
  return h('details', { 'data-keep': 'days' }, h('summary', { 'data-focus': 'days' }, 'The same as a table'),
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Recordings and minutes per day' }, h('table', { class: 'numbers' }, h('caption', { class: 'unseen' }, 'Recordings and minutes per day, in UTC'),
      tableHead('Day', 'Recordings', 'Minutes', 'Not complete'), h('tbody', null, days.map(row).reverse()))));
}
