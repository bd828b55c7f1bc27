// Evidence packages of the selected recordings: as many ZIPs as it takes, each small enough for an address and a browser.

/** What one package has at most. A recording that is larger gets a package of its own. */
const PACKAGE_RECORDINGS = 25;
/** The app aborts a response after seven minutes: about what 5 Mbit/s transfer in that time. */
const PACKAGE_BYTES = 250_000_000;
/** More are for the command line. */
const MOST_PACKAGES = 20;

/** The selected recordings in packages, in their order. */
function packagesOf(rows) {
  const packages = [];
  let size = Infinity;
  for (const recording of rows) {
    const bytesOf = recording.sizeBytes ?? 0;
    if (size + bytesOf > PACKAGE_BYTES || packages.at(-1).length === PACKAGE_RECORDINGS) {
      packages.push([]);
      size = 0;
    }
    packages.at(-1).push(recording);
    size += bytesOf;
  }
  return packages;
}

const packagePath = (recordings) => `evidence?${parameters({ recordings: recordings.map(({ recordingId }) => recordingId).join(','), timeZone: zoneName() })}`;

async function downloadSelected() {
  const rows = [...selection.rows.values()];
  const packages = packagesOf(rows).map((recordings, index, all) => ({ recordings, name: `evidence-${isoDay(serverNow())}${all.length > 1 ? `-${index + 1}-of-${all.length}` : ''}.zip` }));
  if (packages.length > MOST_PACKAGES) {
    return toast(`${plural(rows.length, 'recording')} need ${plural(packages.length, 'ZIP')}; the page saves at most ${MOST_PACKAGES}. Select fewer recordings, or run recording-vault evidence at a shell.`, 'bad');
  }
  const size = rows.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  const without = rows.filter(({ sizeBytes }) => sizeBytes == null).length;
  const missing = without > 0 ? ` ${plural(without, 'recording has', 'recordings have')} no file in the vault; ${without === 1 ? 'its' : 'their'} history is included.` : '';
  const text = `${plural(packages.length, 'ZIP')} with media (${bytes(size)}), metadata, receipts, history and how to verify them.${missing} PROBLEMS.txt in a ZIP lists what is missing.`;
  if (await ask({ title: `Download ${selectedText()}?`, text: `${text} The sheet in each names who made it.`, go: 'Download' })) savePackages(packages, packages.length);
  return undefined;
}

/** Saves one package after the other. Those that fail can be started again. */
async function savePackages(packages, total) {
  const work = new AbortController();
  Object.assign(selection, { work, outcome: null });
  updateSelection();
  const failed = [];
  for (const [index, { recordings, name }] of packages.entries()) {
    showPackages(`Creating ${name}`, { done: index, total: packages.length });
    try {
      await save(packagePath(recordings), name, { signal: work.signal });
    } catch (error) {
      failed.push({ recordings, name, why: wasCancelled(error) ? 'stopped' : error.message });
    }
  }
  const saved = total - failed.length;
  const text = `${number(saved)} of ${plural(total, 'ZIP')} saved.`;
  showPackages(text, { failed, total });
  keepOutcome(text, failed.length > 0);
}

function showPackages(text, { done, total, failed = [] }) {
  const again = () => savePackages(failed, total);
  replace($('selection-outcome'), done != null && h('progress', { value: done, max: total, 'aria-label': 'Progress' }), h('p', { class: failed.length > 0 ? 'bad-text' : null }, text),
    failed.length > 0 && [h('ul', null, failed.map(({ name, why }) => h('li', null, `${name}: ${why}`))), button('Try again', again, { kind: 'primary', focus: 'packages again' })]);
}
