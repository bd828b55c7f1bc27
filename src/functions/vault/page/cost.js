// What ACS charges for recording: by the minutes of each kind, at its list prices.

const COSTS = {
  mixedAudioVideo: { name: 'Mixed audio + video', per: 'a minute' },
  mixedAudio: { name: 'Mixed audio', per: 'a minute' },
  unmixedParticipant: { name: 'Unmixed audio', per: 'a minute and participant' },
};
/** So many recordings are added up at most: each is read from the vault. */
const ADDED_UP = 10_000;

const costKind = ({ channels, content }) => (channels === 'unmixed' ? 'unmixedParticipant' : content === 'audio' ? 'mixedAudio' : 'mixedAudioVideo');
/** Minutes that are paid for: of unmixed audio, those of each participant. */
const paidMinutes = (recording) => (recording.durationMs / MINUTE) * (recording.channels === 'unmixed' ? Math.max(1, recording.participants ?? 1) : 1);
const recordingPrice = (recording) => (recording.durationMs == null ? null : paidMinutes(recording) * PRICES[costKind(recording)]);

/** Of the days only the minutes are known: what they cost if all were of one kind. */
function drawCost() {
  const minutes = overview.days.reduce((sum, day) => sum + day.minutes, 0);
  const row = ([name, { name: title, per }]) => h('tr', null, h('th', { scope: 'row' }, title), h('td', null, `$${PRICES[name]} ${per}`), h('td', { class: 'sum' }, money(minutes * PRICES[name])));
  replace($('cost'),
    h('p', { class: 'figure' }, h('b', null, number(minutes)), ` minutes in ${overview.range} days`),
    h('table', { class: 'numbers cost' }, h('caption', { class: 'unseen' }, 'Cost if all were of one kind'), tableHead('If all were', 'List price', 'Estimate'), h('tbody', null, Object.entries(COSTS).map(row))),
    minutes > 0 && h('p', { class: 'cost-more' }, button('Add up each by its kind', addUp, { focus: 'add up' })),
    h('p', { class: 'hint' }, 'An estimate by ACS\'s list prices in US dollars, without storage and traffic.'));
}

/** Reads the recordings of the days shown, and adds each up by its own kind. */
async function addUp() {
  const { range, days } = overview;
  const sums = new Map(Object.keys(COSTS).map((name) => [name, { recordings: 0, minutes: 0, price: 0 }]));
  let [count, continuation] = [0, null];
  const progress = h('p', { class: 'hint', role: 'status' }, 'Adding up …');
  $('cost').querySelector('.cost-more').replaceChildren(progress);
  try {
    do {
      const answer = await request(`recordings?${parameters({ from: days[0].day, to: days.at(-1).day, top: 200, continuation })}`);
      for (const recording of answer.recordings.filter(({ durationMs }) => durationMs != null)) {
        const sum = sums.get(costKind(recording));
        sum.recordings += 1;
        sum.minutes += paidMinutes(recording);
        sum.price += recordingPrice(recording);
      }
      count += answer.recordings.length;
      continuation = answer.continuation;
      say(progress, `Adding up … ${plural(count, 'recording')}`);
    } while (continuation && count < ADDED_UP && overview.range === range);
  } catch (error) {
    // A sum that lacks recordings is no sum.
    if (overview.range === range) replace($('cost').querySelector('.cost-more'), failure(error, addUp, { className: 'hint' }));
    return;
  }
  if (overview.range === range) drawSums(sums, count, Boolean(continuation));
}

function drawSums(sums, count, isCapped) {
  const total = [...sums.values()].reduce((sum, { price }) => sum + price, 0);
  const row = ([name, { recordings, minutes, price }]) => h('tr', null, h('th', { scope: 'row' }, COSTS[name].name, h('br'), h('span', { class: 'hint' }, `$${PRICES[name]} ${COSTS[name].per}`)), h('td', null, number(recordings)), h('td', null, number(minutes)), h('td', { class: 'sum' }, money(price)));
  replace($('cost'),
    h('p', { class: 'figure' }, h('b', null, money(total)), ` for ${isCapped ? 'the newest ' : ''}${plural(count, 'recording')}, ${overview.range} days`),
    h('table', { class: 'numbers cost' }, h('caption', { class: 'unseen' }, 'Cost by kind'), tableHead('Kind', 'Count', 'Minutes', 'Estimate'), h('tbody', null, [...sums].map(row))),
    h('p', { class: 'hint' }, 'An estimate by ACS\'s list prices in US dollars, without storage and traffic. Minutes of unmixed audio count once for each participant.'));
}
