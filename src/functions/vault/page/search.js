// The search box: what a pasted or typed text names, and the list it leads to.

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** Fewer characters fit too many recordings. */
const SHORTEST_SEARCH = 3;
const SEARCH_DELAY = 300;

const twoDigits = (value) => String(value).padStart(2, '0');
const dayOf = (year, month, day) => [`${year}-${twoDigits(month)}-${twoDigits(day)}`].find(isDay);
/** Today, as the calendar of the chosen zone has it. */
const today = () => new Intl.DateTimeFormat('en-CA', { timeZone: zoneName(), year: 'numeric', month: '2-digit', day: '2-digit' }).format(serverNow());

/** First and last day of what a text names: `2026-03-02`, `2.3.2026`, `2 March`, `2026-03`, `today`. */
function period(text) {
  const word = text.toLowerCase();
  if (word === 'today') return [today(), today()];
  if (word === 'yesterday') return Array(2).fill(isoDay(Date.parse(`${today()}T00:00:00Z`) - DAY));
  const month = /^(\d{4})-(\d{2})$/.exec(word);
  const first = month && dayOf(month[1], Number(month[2]), 1);
  if (first) return [first, isoDay(Date.UTC(Number(month[1]), Number(month[2]), 0))];
  const day = oneDay(word);
  return day ? [day, day] : null;
}

function oneDay(word) {
  const iso = /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})$/.exec(word);
  if (iso) return dayOf(iso[1], Number(iso[2]), Number(iso[3]));
  const dotted = /^(\d{1,2})\.\s*(\d{1,2})\.\s*(\d{4})$/.exec(word);
  if (dotted) return dayOf(dotted[3], Number(dotted[2]), Number(dotted[1]));
  const slashed = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(word);
  if (slashed) return slashedDay(...slashed.slice(1).map(Number));
  const named = /^(\d{1,2})\.?\s+([a-z]{3,9})\.?(?:,?\s+(\d{4}))?$/.exec(word.replace(/^([a-z]{3,9})\.?\s+(\d{1,2})(?=$|,|\s)/, '$2 $1'));
  const month = named && MONTHS.indexOf(named[2].slice(0, 3)) + 1;
  if (!month) return null;
  const year = Number(named[3] ?? today().slice(0, 4));
  const day = dayOf(year, month, Number(named[1]));
  // Without a year it is the last such day.
  return named[3] || day <= today() ? day : dayOf(year - 1, month, Number(named[1]));
}

/** `26/11/2026` and `11/26/2026` name one day; `3/4/2026` may be in March or in April. */
function slashedDay(one, other, year) {
  if (one > 12 || one === other) return dayOf(year, other, one);
  return other > 12 ? dayOf(year, one, other) : null;
}

/** Whether a text is a phone number in international form: `+49 (30) 901820`, `0049-30…`, `tel:+49…`. Which number it is, the vault reads: in some countries `(0)` is part of it. */
const isPhoneNumber = (text) => /^(tel:)?\s*(4:)?\s*\(?(\+|00)[\d\s()./-]{5,}$/i.test(text);

/** What a text asks for, as filters of the list. */
function filtersOf(given) {
  // Out of a log line or a JSON document an id comes with its quotes.
  const text = given.replace(/^(["'`])(.*)\1,?$/, '$2').trim();
  const days = period(text);
  if (days) return { from: days[0], to: days[1], zone: zoneName() };
  if (isPhoneNumber(text) || /^\d+:\S/.test(text)) return { participant: text };
  return { q: text };
}

/** Opens what a text names: the one recording, or the list of those that fit. */
async function findCall(text) {
  const filters = filtersOf(text);
  try {
    const found = await request(`recordings?${parameters({ ...listQuery(filters), top: 2 })}`);
    const byCall = filters.q && found.recordings.length === 0 && !found.continuation ? await request(`recordings?${parameters({ call: filters.q, top: 2 })}`) : null;
    const [page, shownBy] = byCall?.recordings.length > 0 ? [byCall, { call: filters.q }] : [found, filters];
    // Where not every recording was searched, there may be more: the list says so.
    const isOne = page.recordings.length === 1 && !page.continuation && searchGaps(page.notSearched).length === 0;
    location.hash = isOne ? `#/${recordingPath(page.recordings[0].recordingId)}` : `#/recordings?${parameters(shownBy)}`;
  } catch (error) {
    toastError(error);
  }
}

function searchBox() {
  const input = $('find-text');
  let waiting = null;
  /** The first list of a search is a step in the history; the next ones replace it. */
  let isListed = false;
  const preview = () => {
    const text = input.value.trim();
    if (text.length < SHORTEST_SEARCH) return;
    const hash = `#/recordings?${parameters(filtersOf(text))}`;
    if (hash === location.hash) return;
    if (isListed && current === 'recordings') { history.replaceState(null, '', hash); route({ keepFocus: true }); } else location.hash = hash;
    isListed = true;
  };
  const open = () => {
    clearTimeout(waiting);
    isListed = false;
    const text = input.value.trim();
    if (!text) return;
    input.blur();
    findCall(text);
  };
  $('find').addEventListener('submit', (event) => { event.preventDefault(); open(); });
  input.addEventListener('focus', () => input.select());
  input.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(preview, SEARCH_DELAY); });
  input.addEventListener('blur', () => { isListed = false; });
  // What is pasted is the whole question: it replaces the text of the last one, and is looked up at once.
  input.addEventListener('paste', (event) => {
    event.preventDefault();
    input.value = event.clipboardData.getData('text').replace(/\s+/g, ' ').trim();
    open();
  });
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.closest('input, select, textarea, dialog')) return;
    event.preventDefault();
    input.focus();
  });
}
