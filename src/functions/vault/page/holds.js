// All holds in force, and what each covers now. Standing holds, of a person or of a period, are made here.

const holdReading = new Reading();

async function showHolds() {
  document.title = 'Holds · Recording vault';
  if ($('holds').childElementCount === 0) {
    replace($('holds'), h('h1', { tabindex: -1 }, 'Holds'),
      h('p', { class: 'intro' }, 'What is held is deleted neither at ACS nor in the vault. A standing hold, of a person or of a period, also covers later recordings. A recording whose participants or start are unknown counts as held.'),
      h('div', { id: 'hold-form' }), h('div', { id: 'hold-outcome', role: 'status' }), h('div', { id: 'hold-list' }, h('p', { class: 'hint' }, 'Loading …')));
  }
  drawHoldForm();
  const turn = holdReading.begin();
  try {
    const { holds, unreadable } = await request('holds');
    if (!holdReading.takes(turn)) return;
    replace($('hold-list'), unreadableHolds(unreadable), holds.length > 0 ? holdTable(holds) : unreadable.length === 0 && h('div', { class: 'blank' }, h('h2', null, 'None'), h('p', null, 'The retention policy applies to every recording.')));
  } catch (error) {
    if (turn < holdReading.shown) return;
    holdReading.readAt = null;
    replace($('hold-list'), failure(error, showHolds));
  }
  showFreshness();
}

/** What is typed, while a key that only reads is in use; and whether a hold is being added. */
const holdForm = { typed: {}, isBusy: false };
const shownHoldForm = () => $('hold-form').querySelector('form');

function forgetHoldForm() {
  holdForm.typed = {};
  delete $('hold-form')?.dataset.written;
  $('hold-form')?.querySelector('form')?.remove();
}

/** What a key that only reads does not see. Where it is drawn again, what is typed stays. */
function drawHoldForm() {
  keepOwnDrafts();
  const names = nameFields();
  const written = JSON.stringify([canAct(), names, zoneName(), recordedAs()]);
  if ($('hold-form').dataset.written === written) return;
  $('hold-form').dataset.written = written;
  if (shownHoldForm()) holdForm.typed = Object.fromEntries(new FormData(shownHoldForm()));
  if (!canAct()) {
    replace($('hold-form'), h('p', { class: 'hint' }, whyReadOnly()));
    return;
  }
  const field = ({ name, label, type = 'text', hint, required = false }) => h('div', { class: 'field' }, h('label', { for: `hold-${name}` }, label, !required && h('span', { class: 'hint' }, ' (optional)')),
    h('input', { id: `hold-${name}`, name, type, required, maxlength: 200, autocomplete: 'off', spellcheck: 'false', placeholder: hint, 'data-focus': `hold ${name}` }));
  const zone = zoneName();
  const form = h('form', { 'aria-labelledby': 'hold-form-title' },
    h('div', { class: 'filters' }, [
      { name: 'case', label: 'Case', required: true },
      { name: 'person', label: 'Person', hint: '8:acs:… or a phone number' },
      { name: 'from', label: `From (${zone})`, type: 'date' }, { name: 'to', label: `To (${zone})`, type: 'date' },
      { name: 'by', label: 'Requested by, if not you' }, { name: 'note', label: 'Reason' }, ...names,
    ].map(field), h('div', { class: 'field buttons' }, h('button', { type: 'submit', class: 'primary', disabled: holdForm.isBusy, 'data-focus': 'hold' }, 'Hold'))),
    h('p', { class: 'hint' }, recordedAs()));
  form.addEventListener('submit', (event) => { event.preventDefault(); addStandingHold(form, zone); });
  for (const input of form.elements) if (holdForm.typed[input.name]) input.value = holdForm.typed[input.name];
  replace($('hold-form'), h('section', { class: 'card', 'aria-labelledby': 'hold-form-title' }, h('h2', { id: 'hold-form-title' }, 'Hold a person or a period'), form));
}

async function addStandingHold(form, zone) {
  const given = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
  const { from, to, ...rest } = Object.fromEntries(given);
  const blank = [...form.elements].find(isBlank);
  if (blank) {
    holdOutcome('bad', 'Fill in the required fields; spaces alone are not an entry.');
    blank.focus();
    return;
  }
  if (!rest.person && !from && !to) {
    holdOutcome('bad', 'Enter a person, a period, or both.');
    form.elements.person.focus();
    return;
  }
  setHoldBusy(true);
  try {
    const body = { ...takeName(rest), from: from && startOfDay(from, zone), to: to && startOfDay(nextDay(to), zone) };
    const { chunks, uncertain, message } = await request('holds', { method: 'POST', body });
    const may = uncertain.length > 0 && `${plural(uncertain.length, 'chunk')} may match, and count as held: their participants or start are unknown.`;
    holdOutcome('good', [`${body.case} holds ${plural(chunks.length, 'chunk')} now.`, may, message].filter(Boolean).join(' '));
    // It may have been drawn again since.
    shownHoldForm()?.reset();
    holdForm.typed = {};
  } catch (error) {
    holdOutcome('bad', error.message);
  } finally {
    setHoldBusy(false);
  }
  // Even a refusal may have held what is left.
  showHolds();
  pollSummary();
}

function setHoldBusy(isBusy) {
  holdForm.isBusy = isBusy;
  const submit = shownHoldForm()?.querySelector('[type=submit]');
  if (submit) submit.disabled = isBusy;
}

const holdOutcome = (tone, text) => replace($('hold-outcome'), h('p', { class: `checked ${tone}` }, icon(tone === 'good' ? 'check' : 'alert'), h('span', null, text)));

/** What a hold is on: the members by which it was made, and by which it is released. */
const holdSubject = ({ recordingId, callId, person, from, to }) => Object.fromEntries(Object.entries({ recordingId, callId, person, from, to }).filter(([, value]) => value));

function subjectText({ recordingId, callId, person, from, to }) {
  if (recordingId) return `recording ${shortId(recordingId)}`;
  if (callId) return `call ${shortId(callId)}`;
  return ['recordings', person && `of ${person}`, from && `from ${exactTime(from)}`, to && `until ${exactTime(to)}`].filter(Boolean).join(' ');
}

function subjectLink(hold) {
  const { recordingId, callId, person } = hold;
  const href = recordingId ? `#/${recordingPath(recordingId)}` : callId ? `#/recordings?${parameters({ call: callId })}` : person && `#/recordings?${parameters({ participant: person })}`;
  return href ? h('a', { href }, subjectText(hold)) : subjectText(hold);
}

function coveredNow({ recordings, chunks, isCapped, unreadable }) {
  const counted = `${plural(chunks, 'chunk')} of ${plural(recordings, 'recording')}${isCapped ? '; there are more' : ''}`;
  return [counted, unreadable > 0 && h('p', { class: 'bad-text' }, `${number(unreadable)} not readable: whether they are held is unknown`)];
}

/** Who requested a hold and who placed it. A name that somebody typed is never shown like a verified one. */
function heldBy({ by, requestedBy }) {
  const placed = by && `recorded by ${by.replace(/ \(claimed\)$/, ' (not verified)')}`;
  const requested = requestedBy && `requested by ${requestedBy} (not verified)`;
  const parts = [requested, placed].filter(Boolean);
  return parts.length > 0 ? ` ${parts.join(', ')}` : '';
}

function holdTable(holds) {
  const maySay = canAct();
  const cases = (hold) => h('ul', null, hold.cases.map((one) => h('li', null, h('b', null, one.case), heldBy(one), ', ', moment(one.at), one.note && h('p', { class: 'hint' }, one.note),
    maySay && [' ', button('Release', () => releaseOne(hold, one.case), { focus: `release ${one.case} ${JSON.stringify(holdSubject(hold))}`, label: `Release ${one.case} of ${subjectText(hold)}` })])));
  const may = ({ uncertainChunks }) => (uncertainChunks > 0 ? `${plural(uncertainChunks, 'chunk')}: participants or start unknown` : '–');
  const row = (hold) => h('tr', null, cell('What', subjectLink(hold)), cell('Cases', cases(hold)), cell('Holds now', coveredNow(hold.holdsNow)), cell('May hold', may(hold.holdsNow)));
  return h('div', { class: 'card scroll', tabindex: 0, role: 'region', 'aria-label': 'Holds in force' },
    h('table', { class: 'cards' }, h('caption', { class: 'unseen' }, 'Holds in force'), tableHead('What', 'Cases', 'Holds now', 'May hold'), h('tbody', null, holds.map(row))));
}

function unreadableHolds(unreadable) {
  if (unreadable.length === 0) return null;
  return h('div', { class: 'blank', role: 'alert' }, h('p', null, `${plural(unreadable.length, 'hold')} not readable. While this is so, nothing is deleted, neither at ACS nor in the vault.`), h('ul', null, unreadable.map((key) => h('li', { class: 'mono break' }, key))));
}

async function releaseOne(hold, tag) {
  const question = { title: `Release ${tag}?`, about: sentence(subjectText(hold)), text: 'If no other hold covers a recording, the retention policy may delete it. A deleted copy cannot be brought back.', go: 'Release', isDangerous: true };
  if (await act(question, 'holds/release', (left) => releaseOutcome(`${sentence(subjectText(hold))} is released from ${tag}`, tag, subjectText(hold), left), () => ({ case: tag, ...holdSubject(hold) }))) { showHolds(); pollSummary(); }
}
