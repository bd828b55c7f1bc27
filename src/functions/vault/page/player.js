// The player: the recording's chunks one after the other, on one bar with its pauses.

/** Points of a waveform on the whole bar. */
const POINTS = 240;

/** How long a chunk plays: as the vault measured its file, else as ACS's metadata says. */
const chunkMs = ({ examination, durationMs }) => examination?.durationMs ?? durationMs ?? 0;
const pausedMs = ({ pauses = [] }) => pauses.reduce((sum, { durationMs }) => sum + durationMs, 0);

/** Where in its file a chunk was paused. ACS counts from the chunk's start; a file without its pauses (`isCut`) is that much shorter. */
function pausesInFile(chunk) {
  const { durationMs, examination, pauses = [] } = chunk;
  const missing = durationMs != null && examination?.durationMs != null ? durationMs - examination.durationMs : 0;
  const isCut = pauses.length > 0 && Math.abs(missing - pausedMs(chunk)) < Math.abs(missing);
  let before = 0;
  const found = [...pauses].sort((one, other) => one.offsetMs - other.offsetMs).map((pause) => {
    const at = pause.offsetMs - (isCut ? before : 0);
    before += pause.durationMs;
    return { at, ms: pause.durationMs };
  });
  return { isCut, pauses: found };
}

/** Builds the player of a recording; `stop` ends it. */
function makePlayer(recording) {
  const chunks = recording.chunkList.filter((chunk) => chunk.playable).map((chunk) => ({ ...chunk, ms: chunkMs(chunk) }));
  const total = chunks.reduce((sum, chunk) => sum + chunk.ms, 0);
  chunks.reduce((from, chunk) => { chunk.from = from; return from + chunk.ms; }, 0);
  const isVideo = recording.content === 'audioVideo' || chunks[0].contentType?.startsWith('video/');
  const media = h(isVideo ? 'video' : 'audio', { controls: true, preload: 'metadata', playsinline: true, 'aria-label': 'Recording' });
  const message = h('p', { class: 'player-message', role: 'alert', hidden: true });
  const mark = h('p', { class: 'damage break', role: 'alert', hidden: true });
  const over = new AbortController();
  const player = { media, chunks, total, at: 0, isAgain: false, over };

  const bar = total > 0 ? makeBar(player, (ms) => seek(ms)) : null;
  const switcher = chunks.length > 1 && h('div', { class: 'segments', role: 'group', 'aria-label': 'Chunks' }, chunks.map((chunk, index) => h('button', { type: 'button', 'data-chunk': index, 'aria-pressed': 'false', onclick: () => open(index, 0, true) }, `Chunk ${chunk.index}`)));
  const speeds = h('select', { 'aria-label': 'Speed', onchange: (event) => { media.playbackRate = Number(event.target.value); } }, [0.75, 1, 1.25, 1.5, 2].map((speed) => h('option', { value: speed, selected: speed === 1 }, `${speed}×`)));

  async function open(index, seconds, andPlay, isAgain = false) {
    player.at = index;
    player.isAgain = isAgain;
    message.hidden = true;
    const speed = media.playbackRate;
    for (const other of (switcher || h('i')).children) other.setAttribute('aria-pressed', other.dataset.chunk === String(index));
    try {
      const { url, damage } = await ticket(chunks[index].documentId, over.signal);
      if (player.at !== index) return;
      showDamage(mark, chunks[index], damage);
      media.src = url;
      player.url = url;
      media.addEventListener('loadedmetadata', () => {
        media.currentTime = Math.min(seconds, Number.isFinite(media.duration) ? media.duration : seconds);
        media.playbackRate = speed;
        if (andPlay) media.play().catch(() => { /* the browser wants a click first */ });
      }, { once: true });
    } catch (error) {
      if (!wasCancelled(error)) tell(error.message);
    }
  }

  function seek(ms) {
    const index = Math.max(0, chunks.findLastIndex((chunk) => chunk.from <= ms));
    const seconds = (ms - chunks[index].from) / 1000;
    if (index === player.at && media.readyState > 0) media.currentTime = seconds;
    else open(index, seconds, !media.paused);
  }

  function tell(text) {
    message.hidden = false;
    replace(message, icon('alert'), text, ' ', button('Try again', () => open(player.at, 0, true), { focus: 'again' }));
  }

  // A ticket that expired meanwhile is replaced once; a failure after that is shown.
  async function failed() {
    if (over.signal.aborted || !media.getAttribute('src')) return;
    if (!player.isAgain) return open(player.at, media.currentTime, true, true);
    return tell(await whyNot(player.url, over.signal));
  }

  const on = (event, act) => media.addEventListener(event, act, { signal: over.signal });
  on('error', failed);
  on('playing', () => { player.isAgain = false; });
  on('timeupdate', () => bar?.update(chunks[player.at].from + media.currentTime * 1000));
  on('ended', () => { if (player.at + 1 < chunks.length) open(player.at + 1, 0, true); });
  open(0, 0, false);

  const box = h('div', { class: `player ${isVideo ? 'video' : 'audio'}` }, mark, media, bar?.element, message, h('div', { class: 'player-tools' }, switcher, h('label', null, 'Speed ', speeds), bar && h('span', { class: 'hint' }, bar.legend)));
  const stop = () => { over.abort(); media.pause(); media.removeAttribute('src'); media.load(); };
  return { element: box, stop };
}

/** Says that what plays is not what was proved. */
function showDamage(mark, { index }, damage) {
  mark.hidden = !damage;
  replace(mark, damage && [icon('alert'), h('span', null, `The copy of chunk ${index} is damaged, by the verification at `, moment(damage.foundAt, exactTime), `: ${damage.problem}. The damaged file plays as it is in the vault.`)]);
}

/** A media element reports only that it failed; the server knows why. */
async function whyNot(url, signal) {
  return await whyRefused(url, signal) ?? 'The browser cannot play this file: it does not know the format, or the file is damaged. The page did not check the copy; to check it, verify the chunk.';
}

/** Why the vault does not give a file; null where it does. */
async function whyRefused(url, signal) {
  try {
    const response = await fetch(url, { headers: { range: 'bytes=0-0' }, cache: 'no-store', signal });
    if (response.ok) return null;
    if (response.status === 416) return 'The file is empty: there is nothing to play.';
    await read(response);
    return inWords(response.status);
  } catch (error) {
    return error instanceof ApiError ? error.message : 'The file cannot be loaded. Check the network.';
  }
}

/** The bar: waveform or plain, with pauses and chunk borders; a slider for the keyboard. */
function makeBar(player, seek) {
  const { chunks, total } = player;
  const share = (ms) => (ms / total) * 1000;
  const wave = svg('g', { class: 'wave' });
  const played = svg('rect', { x: 0, y: 0, width: 0, height: 64, class: 'played' });
  const head = svg('rect', { x: 0, y: 0, width: 2.5, height: 64, class: 'playhead' });
  const pauses = chunks.flatMap((chunk) => pausesInFile(chunk).pauses.map(({ at, ms }) => ({ at: chunk.from + Math.min(at, chunk.ms), ms })));
  const pauseMark = ({ at, ms }) => svg('g', { class: 'pause' }, svg('rect', { x: share(at) - 3, y: 0, width: 6, height: 64 }), svg('path', { d: `M${share(at) - 7} 0h14l-7 9z` }), svg('title', null, `Paused for ${span(ms)} at ${playTime(at)}`));
  const borders = chunks.slice(1).map((chunk) => svg('line', { x1: share(chunk.from), x2: share(chunk.from), y1: 0, y2: 64, class: 'border' }));
  const picture = svg('svg', { viewBox: '0 0 1000 64', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('rect', { x: 0, y: 31, width: 1000, height: 2, class: 'plain' }), wave, played, borders, pauses.map(pauseMark), head);
  const time = h('span', { class: 'time mono' }, `0:00 / ${playTime(total)}`);
  const slider = h('div', { class: 'bar', role: 'slider', tabindex: 0, 'aria-label': 'Position', 'aria-valuemin': 0, 'aria-valuemax': Math.round(total / 1000), 'aria-valuenow': 0, 'aria-valuetext': `0:00 of ${playTime(total)}` }, picture);
  drawWaveforms(player, wave);
  let now = 0;
  const update = (ms) => {
    now = Math.min(total, ms);
    played.setAttribute('width', share(now));
    head.setAttribute('x', Math.max(0, share(now) - 1.25));
    say(time, `${playTime(now)} / ${playTime(total)}`);
    slider.setAttribute('aria-valuenow', Math.round(now / 1000));
    slider.setAttribute('aria-valuetext', `${playTime(now)} of ${playTime(total)}`);
  };
  const go = (ms) => { const to = Math.min(total - 100, Math.max(0, ms)); update(to); seek(to); };
  const byPointer = (event) => { const { left: edge, width } = slider.getBoundingClientRect(); go(((event.clientX - edge) / width) * total); };
  slider.addEventListener('pointerdown', (event) => { if (event.button === 0) byPointer(event); });
  slider.addEventListener('keydown', (event) => {
    const steps = { ArrowRight: 5000, ArrowUp: 5000, ArrowLeft: -5000, ArrowDown: -5000, PageUp: 60_000, PageDown: -60_000 };
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? total : steps[event.key] && now + steps[event.key];
    if (to == null) return;
    event.preventDefault();
    go(to);
  });
  const paused = pauses.length > 0 && h('ul', { class: 'pauses' }, pauses.map(({ at, ms }) => h('li', null, button(`Pause of ${span(ms)} at ${playTime(at)}`, () => go(at), { kind: 'quiet', picture: 'pause' }))));
  return { element: h('div', { class: 'bar-box' }, slider, time, paused), update, legend: `Arrow keys on the bar: 5 seconds; page keys: a minute.${withoutWaveform(player)}${partlyMeasured(player)}` };
}

/** The waveforms as they were taken while each chunk was exported: a lane for each channel, whatever the file's size. */
function drawWaveforms({ chunks, total }, wave) {
  for (const chunk of chunks) {
    const channels = (chunk.examination?.sound?.channels ?? []).map(({ waveform }) => Uint8Array.from(atob(waveform), (byte) => byte.charCodeAt(0)));
    const loudest = Math.max(5, ...channels.map((points) => points.reduce((most, point) => Math.max(most, point), 0)));
    channels.forEach((points, lane) => wave.append(waveform(points, loudest, { chunk, total, lane, lanes: channels.length })));
  }
}

function waveform(taken, loudest, { chunk, total, lane, lanes }) {
  const count = Math.min(taken.length, Math.max(8, Math.round(POINTS * (chunk.ms / total))));
  const step = ((chunk.ms / total) * 1000) / count;
  const [height, middle] = [56 / lanes, (64 / lanes) * (lane + 0.5)];
  const path = Array.from({ length: count }, (_, point) => {
    const each = taken.subarray(Math.floor((point * taken.length) / count), Math.ceil(((point + 1) * taken.length) / count));
    const size = Math.max(1.5 / lanes, (each.reduce((most, value) => Math.max(most, value), 0) / loudest) * height);
    return `M${((chunk.from / total) * 1000 + point * step + step * 0.15).toFixed(2)} ${(middle - size / 2).toFixed(1)}h${(step * 0.7).toFixed(2)}v${size.toFixed(1)}h-${(step * 0.7).toFixed(2)}z`;
  });
  return svg('path', { d: path.join('') }, lanes > 1 && svg('title', null, `Channel ${lane}`));
}

/** Why there is no waveform, where there is none. */
function withoutWaveform({ chunks }) {
  const without = chunks.filter((chunk) => !chunk.examination?.sound);
  if (without.length === 0) return '';
  return without.every((chunk) => chunk.contentType === 'audio/wav')
    ? ' No waveform was taken of this recording.'
    : ' There is no waveform for mp3 and mp4.';
}

/** How much was measured, where an export was resumed and saw a part of the file only. */
function partlyMeasured({ chunks }) {
  const perMille = chunks.flatMap((chunk) => chunk.examination?.sound?.seenPerMille ?? []);
  if (perMille.every((seen) => seen >= 1000)) return '';
  return ` Not all of the sound was measured (of one file ${Math.floor(Math.min(...perMille) / 10)} %): the waveform is flat where it was not.`;
}
