// What the key lets the page do, and the name its actions are recorded under. Asked for before an action is offered.

/** The name of who acts here, where App Service Authentication verifies none: asked for once, kept for the tab. */
const operatorName = keptForTheTab('recording-vault.operator');

/** `answer`: null while it is not known what the key opens. */
const rights = { key: undefined, answer: null, asked: null };

/** Asks what the key opens, once for each key. Resolves to whether the answer is new. */
function readRights() {
  const used = key.get();
  if (rights.key !== used) Object.assign(rights, { key: used, answer: null, asked: null });
  if (rights.answer) return Promise.resolve(false);
  rights.asked ??= askRights(used).finally(() => { rights.asked = null; });
  return rights.asked;
}

async function askRights(used) {
  let response, answer;
  try {
    response = await send('rights', { method: 'POST', used });
    answer = await response.json().catch(() => null);
  } catch { return false; }
  if (rights.key !== used) return false;
  if (response.ok && answer) rights.answer = { mayAct: true, principal: answer.principal };
  else if (response.status === 401) rights.answer = { mayAct: false, says: 'Read-only: this key reads. To act, use a key that is also set on the functions VaultActions and RecordingControl.' };
  else if (response.status === 403) rights.answer = { mayAct: false, says: `Read-only: ${answer?.error?.message ?? inWords(403)}` };
  else return false;
  return true;
}

const canAct = () => (vault.summary?.actions && rights.answer?.mayAct) ?? false;

function whyReadOnly() {
  if (!vault.summary?.actions) return 'Read-only: set OPERATOR_ACTIONS=on to allow actions.';
  return rights.answer?.says ?? 'Read-only: the page is checking what this key allows.';
}

const verifiedName = () => (rights.answer?.principal?.isVerified ? rights.answer.principal.name : null);

/** The field that asks for a name, if none is known. */
const nameFields = () => (verifiedName() || operatorName.get() ? [] : [{ name: 'operatorName', label: 'Your name, for the audit log; it is not verified', required: true }]);

function recordedAs() {
  if (verifiedName()) return `The audit log records actions under ${verifiedName()}.`;
  return operatorName.get() ? `The audit log records actions under ${operatorName.get()}, which is not verified.` : '';
}

/** Keeps the name that was asked for; the rest are the question's own fields. */
function takeName({ operatorName: given, ...values }) {
  if (given) operatorName.set(given);
  return values;
}

/** Shows in the header what the key allows. */
function showRights() {
  const [text, title] = !vault.summary?.actions ? ['Read-only', whyReadOnly()]
    : canAct() ? ['Operator', `This key can read and act. ${recordedAs()}`]
      : rights.answer ? ['Reader', whyReadOnly()] : ['Checking key', whyReadOnly()];
  $('mode').hidden = false;
  say($('mode'), text);
  $('mode').className = `mode ${canAct() ? 'on' : ''}`;
  $('mode').title = title;
}
