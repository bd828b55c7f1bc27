// One scenario in Debian's Chromium: node run.mjs <scenario> '{"page": "http://…/api/vault/", …}'
// tests/suite/operator_page.rs calls it against the real handler. A failure ends it with a message and exit code 1.
import { chromium } from 'playwright-core';

import * as scenarios from './scenarios.mjs';

const [, , name, facts] = process.argv;
const scenario = scenarios[name];
if (!scenario) throw new Error(`there is no scenario ${name}`);
const executablePath = process.env.TEST_CHROMIUM;
if (!executablePath) throw new Error('TEST_CHROMIUM is not set: run the tests by `cargo xtask test`');

// As root there is no sandbox; only our own page is opened here.
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required', '--mute-audio'] });
const wrong = [];

/** A tab of its own, with its own key. Collects errors of the page. `operator`: the name that was given in it before. */
async function open({ operator = 'Test operator', ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  if (operator) await context.addInitScript((name) => sessionStorage.setItem('recording-vault.operator', name), operator);
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  page.on('pageerror', (error) => wrong.push(`error in the page: ${error.message}`));
  page.on('console', (message) => {
    // The browser logs failed responses itself; scenarios expect them.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const isOurs = ['data:', 'blob:'].some((start) => request.url().startsWith(start)) || new URL(request.url()).origin === new URL(given.page).origin;
    if (!isOurs) wrong.push(`a request to ${request.url()}`);
  });
  return page;
}

const given = JSON.parse(facts);
try {
  await scenario({ ...given, open });
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
} catch (error) {
  console.error(`${name}: ${error.stack ?? error}\n${wrong.join('\n')}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
