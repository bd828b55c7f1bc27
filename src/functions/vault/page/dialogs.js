// Dialogs and messages: the key, questions before an action, notices, failures that end by themselves.

function toast(text, tone = 'good') {
  const message = h('div', { class: `toast ${tone}` }, icon(tone === 'good' ? 'check' : 'alert'), h('span', null, text),
    button('', () => message.remove(), { kind: 'icon-only', picture: 'cross', label: 'Dismiss the message' }));
  $('toasts').append(message);
  const read = Math.max(6000, text.length * 90);
  setTimeout(() => message.remove(), tone === 'good' ? read : read * 2);
}

/** Says that something was not done. It stays to be read, though the vault may answer again at once. */
function toastError(error) {
  if (error.isTransient) vault.isFailing = true;
  toast(error.code === 'ActionsOff' ? 'Actions are off. The operator turns them on with OPERATOR_ACTIONS=on.' : error.message, 'bad');
}

/** A view's failure with a way on. One that may pass is tried again when the vault answers. */
function failure(error, again, { title, className = 'blank' } = {}) {
  const isTransient = error.isTransient ?? false;
  if (isTransient) vault.isFailing = true;
  const box = h('div', { class: className, role: 'alert', 'data-failed': isTransient }, title, h('p', null, error.message), button('Try again', again, { kind: 'primary', focus: 'again' }));
  box.again = again;
  return box;
}

/** The vault answers again: what failed to be read is read again. */
function recover() {
  vault.isFailing = false;
  const failed = [...document.querySelectorAll('main > :not([hidden]) [data-failed]')];
  failed.forEach((box) => box.again());
}

/** A line above the page that stays until it is no longer true. */
function notice(name, text, ...more) {
  let line = $(`notice-${name}`);
  if (!text) return line?.remove();
  if (line?.dataset.text === text) return undefined;
  line?.remove();
  line = h('div', { class: 'notice', id: `notice-${name}`, 'data-text': text }, icon('alert'), h('span', null, text), ...more);
  return $('notices').append(line);
}

/** `required` accepts a space; such an answer has no use. */
const isBlank = (field) => field.required && !field.value.trim();

/** Ends what still waits for a dialog: its event `close` comes only after it can be opened again. */
const ended = new WeakMap();

/** Opens a dialog; resolves when it is closed, to what `submitted` gave or to null. */
function openDialog(dialog, submitted) {
  const form = dialog.querySelector('form');
  ended.get(dialog)?.();
  return new Promise((resolve) => {
    const over = new AbortController();
    let result = null;
    const end = () => { over.abort(); resolve(result); };
    ended.set(dialog, end);
    const on = (target, event, act) => target.addEventListener(event, act, { signal: over.signal });
    on(form, 'submit', (event) => {
      event.preventDefault();
      const blank = [...form.elements].find(isBlank);
      if (blank) {
        blank.setCustomValidity('Fill in this field; spaces alone are not an entry.');
        blank.reportValidity();
        blank.addEventListener('input', () => blank.setCustomValidity(''), { once: true });
        return;
      }
      result = submitted();
      dialog.close();
    });
    on(dialog.querySelector('[data-close]'), 'click', () => dialog.close());
    on(dialog, 'close', () => { if (!dialog.open) end(); });
    dialog.showModal();
  });
}

/** Set while the dialog is open, so that many requests ask once. */
let asking = null;
/** The dialog was closed without a key: nothing asks again by itself. */
let isLocked = false;

/** Resolves to whether there is another key than the one that was refused. */
function askForKey(refused) {
  if (key.get() !== refused) return Promise.resolve(true);
  if (isLocked) return Promise.resolve(false);
  asking ??= keyFromDialog(refused).finally(() => { asking = null; });
  return asking;
}

async function keyFromDialog(refused) {
  say($('key-title'), refused ? 'The host refuses this key' : 'This vault asks for a function key');
  say($('key-text'), refused
    ? 'It is not a key of the function Vault, or it was renewed. Enter the current key.'
    : 'Enter a key of the function Vault, or a host key. To act, the key must also be set on VaultActions and RecordingControl.');
  $('key-input').value = '';
  const given = await openDialog($('key-dialog'), () => $('key-input').value.trim());
  $('key-input').value = '';
  if (!given) {
    lock();
    return false;
  }
  key.set(given);
  // A person with another key may be another person.
  if (refused && given !== refused && !operatorName.get()) forgetDrafts();
  vault.isFailing = true;
  $('forget').hidden = false;
  return true;
}

/** Shows only how to unlock the page. */
function lock() {
  isLocked = true;
  clearMessages();
  closeQuestion();
  for (const view of VIEWS) $(view).hidden = true;
  showFreshness();
  replace($('locked'), h('h1', { id: 'locked-title', tabindex: -1 }, 'The vault is locked'),
    h('p', null, 'To open it you need a key of the function Vault. Ask the operator of the Function App.'),
    button('Enter the function key', unlock, { kind: 'primary' }));
  $('locked').hidden = false;
  $('locked-title').focus();
}

function unlock() {
  isLocked = false;
  $('locked').hidden = true;
  start();
}

/** Messages of an earlier state. */
function clearMessages() {
  replace($('toasts'));
  notice('stale', '');
  notice('selection', '');
}

/** A question belongs to the view it was asked in. */
function closeQuestion() {
  for (const dialog of [$('confirm'), $('event-dialog')]) if (dialog.open) dialog.close();
}

/** On a shared machine neither the key nor anything seen with it may stay. */
function forgetKey() {
  key.forget();
  operatorName.forget();
  forgetDrafts();
  location.reload();
}

/** What was typed into a question whose action was refused: it is there when the question is asked again. */
const drafts = new Map();
/** Under which name they were typed; another name sees none of it. */
let draftsBy = null;

/** What was typed under another name is forgotten. Without a name so far, it is of the name that is given with it. */
function keepOwnDrafts() {
  const name = verifiedName() ?? operatorName.get();
  if (draftsBy !== null && draftsBy !== name) forgetDrafts();
  draftsBy = name;
}

function forgetDrafts() {
  drafts.clear();
  draftsBy = null;
  forgetHoldForm();
}

const draftOf = ({ title, about = '' }) => `${title}\n${about}`;

/** Asks before an action. Resolves to the fields' values, or to null. */
async function ask(question) {
  const { title, text, about = '', go, fields = [], isDangerous = false } = question;
  keepOwnDrafts();
  const draft = drafts.get(draftOf(question)) ?? {};
  say($('confirm-title'), title);
  say($('confirm-about'), about);
  $('confirm-about').hidden = !about;
  say($('confirm-text'), text);
  say($('confirm-go'), go);
  $('confirm-go').classList.toggle('danger', isDangerous);
  const asked = [...fields, ...nameFields()];
  say($('confirm-as'), recordedAs());
  replace($('confirm-fields'), asked.map((field) => [
    h('label', { for: `field-${field.name}` }, field.label, !field.required && h('span', { class: 'hint' }, ' (optional)')),
    answerField(field, draft[field.name]),
  ]));
  const values = await openDialog($('confirm'), () => takeName(Object.fromEntries(asked.map(({ name }) => [name, $(`field-${name}`).value.trim()]).filter(([, value]) => value))));
  keepOwnDrafts();
  if (values) drafts.set(draftOf(question), values);
  else drafts.delete(draftOf(question));
  return values;
}

/** `choices`: pairs of a value and its text; without them, a line of text. */
function answerField({ name, required = false, value, hint, choices }, draft) {
  const id = `field-${name}`;
  const answer = draft ?? value;
  if (choices) return h('select', { id, name, required }, choices.map(([choice, text]) => h('option', { value: choice, selected: choice === answer }, text)));
  return h('input', { id, name, required, maxlength: 200, autocomplete: 'off', value: answer, placeholder: hint });
}

/** Asks, acts, reports the outcome. Returns the answer, or null. */
async function act(question, path, outcome, body) {
  const values = await ask(question);
  if (!values) return null;
  try {
    const answer = await request(path, { method: 'POST', body: body ? body(values) : undefined });
    drafts.delete(draftOf(question));
    const [text, tone] = [outcome(answer)].flat();
    toast(text, tone);
    return answer;
  } catch (error) {
    toastError(error);
    return null;
  }
}

/** Names a recording in a dialog: when it started, and its call. */
const nameOf = ({ startedAt, callId, recordingId }) => `Recording of ${startedAt ? exactTime(startedAt) : 'an unknown time'}, ${callId ? `call ${shortId(callId)}` : shortId(recordingId)}`;
