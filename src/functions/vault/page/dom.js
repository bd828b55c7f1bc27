'use strict';
// Elements, made by hand. What comes from outside goes in as text nodes: nothing here reads markup.

const $ = (id) => document.getElementById(id);
const VIEWS = ['overview', 'recordings', 'recording', 'holds', 'poison'];

/** An element: `on…` are listeners, `true` and `false` are attributes without value, the rest is set as it is. */
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for pictures. */
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child != null && child !== false) element.append(child);
  }
}

/** Replaces what is in an element; keeps the focus where an equal `data-focus` is there again. */
function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.closest('[data-focus]') : null;
  element.textContent = '';
  append(element, children);
  if (focused) element.querySelector(`[data-focus="${CSS.escape(focused.dataset.focus)}"]`)?.focus({ preventScroll: true });
}

/** Sets text only where it differs: a selection in it stays. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const ICONS = {
  alert: 'M8 2 15 14H1ZM8 6.5v3.5M8 11.8v.200',
  back: 'M9.5 3 4.5 8l5 5',
  check: 'm3 8.5 3.2 3.2L13 4.8',
  copy: 'M5.5 5.5V2.5h8v8h-3M2.5 5.5h8v8h-8z',
  cross: 'm4 4 8 8M12 4l-8 8',
  down: 'M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10',
  lock: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  print: 'M4.5 6V2.5h7V6M4.5 11.5h-2V6h11v5.5h-2M4.5 9.5h7v4h-7z',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3',
  record: 'M8 4.5a3.5 3.5 0 1 0 .01 0z',
  pause: 'M6 4.5v7M10 4.5v7',
  clock: 'M8 2a6 6 0 1 0 .01 0zM8 4.8V8l2.2 1.5',
  move: 'M2.5 8h9M8.5 4.5 12 8l-3.5 3.5',
  gone: 'M3 8h10',
  search: 'M7 2.5a4.5 4.5 0 1 0 .01 0zM10.3 10.3 14 14',
};

function icon(name) {
  const path = svg('path', { d: ICONS[name], fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' });
  return svg('svg', { viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true', class: 'icon' }, path);
}

function button(text, onclick, { kind = '', picture, focus, label, disabled = false } = {}) {
  return h('button', { type: 'button', class: kind, onclick, 'data-focus': focus, 'aria-label': label, disabled }, picture && icon(picture), text);
}

/** A button that copies a text, and says so. */
function copyButton(text, what, shown = '') {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast(`${what} copied`);
    } catch {
      toast(`The browser does not let the page copy. Select the ${what.toLowerCase()} by hand.`, 'bad');
    }
  };
  return button(shown, copy, { kind: shown ? 'quiet' : 'icon-only', picture: 'copy', label: shown ? undefined : `Copy ${what}`, focus: `copy ${what} ${text}` });
}
