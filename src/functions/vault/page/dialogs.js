// What stands before or above the page: the key, questions before an action, messages.

function toast(text, tone = 'good') {
  const message = h('div', { class: `toast ${tone}` }, icon(tone === 'good' ? 'check' : 'alert'), h('span', null, text),
    button('', () => message.remove(), { kind: 'icon-only', picture: 'cross', label: 'Dismiss the message' }));
  $('toasts').append(message);
  const read = Math.max(6000, text.length * 90);
  setTimeout(() => message.remove(), tone === 'good' ? read : read * 2);
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

/** Opens a dialog; resolves when it is closed, to what `submitted` gave or to null. */
function openDialog(dialog, submitted) {
  const form = dialog.querySelector('form');
  return new Promise((resolve) => {
    const over = new AbortController();
    let result = null;
    const on = (target, event, act) => target.addEventListener(event, act, { signal: over.signal });
    on(form, 'submit', (event) => {
      event.preventDefault();
      result = submitted();
      dialog.close();
    });
    on(dialog.querySelector('[data-close]'), 'click', () => dialog.close());
    on(dialog, 'close', () => { over.abort(); resolve(result); });
    dialog.showModal();
  });
}

/** Set while the dialog is open, so that many requests ask once. */
let asking = null;
/** Somebody has closed the dialog: nothing asks again by itself. */
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
    ? 'It is not, or no longer, a key of the function Vault. Somebody may have renewed it: enter the present one.'
    : 'Recordings are shown only to those who have the key of the function Vault, or a host key.');
  $('key-input').value = '';
  const given = await openDialog($('key-dialog'), () => $('key-input').value.trim());
  $('key-input').value = '';
  if (!given) {
    lock();
    return false;
  }
  key.set(given);
  $('forget').hidden = false;
  return true;
}

/** Shows nothing but how to get in. */
function lock() {
  isLocked = true;
  for (const view of ['overview', 'recordings', 'recording', 'poison']) $(view).hidden = true;
  replace($('locked'), h('h1', { id: 'locked-title', tabindex: -1 }, 'The vault is locked'),
    h('p', null, 'Whoever wants to look into it needs a key of the function Vault. Ask whoever runs the Function App.'),
    button('Enter the function key', unlock, { kind: 'primary' }));
  $('locked').hidden = false;
  $('locked-title').focus();
}

function unlock() {
  isLocked = false;
  $('locked').hidden = true;
  start();
}

/** On a shared machine nothing may stay: neither the key nor what was seen with it. */
function forgetKey() {
  key.forget();
  location.reload();
}

/** Asks before an action. Resolves to the fields' values, or to null. */
async function ask({ title, text, go, fields = [], isDangerous = false }) {
  say($('confirm-title'), title);
  say($('confirm-text'), text);
  say($('confirm-go'), go);
  $('confirm-go').classList.toggle('danger', isDangerous);
  replace($('confirm-fields'), fields.map((field) => [
    h('label', { for: `field-${field.name}` }, field.label, !field.required && h('span', { class: 'hint' }, ' (optional)')),
    h('input', { id: `field-${field.name}`, name: field.name, required: field.required ?? false, maxlength: 200, autocomplete: 'off', value: field.value }),
  ]));
  return openDialog($('confirm'), () => Object.fromEntries(fields.map(({ name }) => [name, $(`field-${name}`).value.trim()]).filter(([, value]) => value)));
}

/** Asks, acts, tells. Gives the answer, or null. */
async function act(question, path, told, body) {
  const values = await ask(question);
  if (!values) return null;
  try {
    const answer = await request(path, { method: 'POST', body: body ? body(values) : undefined });
    const [text, tone] = [told(answer)].flat();
    toast(text, tone);
    return answer;
  } catch (error) {
    toast(error.code === 'ActionsOff' ? 'Actions are switched off: the operator sets OPERATOR_ACTIONS=on.' : error.message, 'bad');
    return null;
  }
}
