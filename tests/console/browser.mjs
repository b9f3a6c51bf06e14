// The console in Chromium: one browser for all tests of a file, a page for each test, and what must hold on every page.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/// What the test was told of the system.
export const system = JSON.parse(process.env.CONSOLE_SYSTEM ?? 'null');
assert(system, 'these tests need CONSOLE_SYSTEM: run them with `cargo xtask test --only console`');

export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 390, height: 844 };

/// How long anything may take to be seen on a busy machine. Reached only by tests that fail.
const PATIENCE = 60_000;

let browser;

before(async () => {
  // a container's root may have no sandbox of its own
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
});

after(() => browser?.close());

/// A page of somebody signed in with that token; nobody where it is `null`. `act` is the test. At its end nothing may have gone wrong in
/// the page: no error on its console, nothing that the content security policy had to stop.
export async function visit(address, act, { token = system.token, viewport = WIDE, colours = 'light', expected = [] } = {}) {
  const context = await browser.newContext({ baseURL: system.console, viewport, colorScheme: colours, reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('requestfailed', (request) => {
    const gone = request.failure()?.errorText;
    if (gone !== 'net::ERR_ABORTED') faults.push(`${request.url()}: ${gone}`);
  });
  try {
    await page.goto('/');
    if (token !== null) await signIn(page, token);
    if (address !== '/') await page.goto(address);
    await act(page, context);
  } catch (error) {
    await picture(page, `failed-${Date.now()}`);
    const seen = await page.locator('main').innerText({ timeout: 1000 }).catch(() => 'nothing');
    console.log(`${page.url()} showed: ${seen.slice(0, 500)}\n${faults.join('\n')}`);
    throw error;
  } finally {
    await context.close();
  }
  const unexpected = faults.filter((fault) => !expected.some((known) => known.test(fault)));
  assert.deepEqual(unexpected, [], 'the browser complains');
}

/// The browser's own complaint when an address of the console, which a pattern names, answers with that status.
export function answers(status, address) {
  return new RegExp(`status of ${status} .*\\(https?://[^/]+/api/${address.source}(\\?[^)]*)?\\)$`);
}

/// Signs in by the page.
export async function signIn(page, token) {
  await page.getByLabel('Your token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
}

/// Fails when axe finds anything that keeps somebody out. It looks twice before it says so: a page that is drawn anew while it
/// looks, such as a button that is enabled, is neither what it was nor what it becomes.
export async function accessible(page) {
  // over the debugger's own channel, and not into frames, which hold mails, past the page's content security policy
  await page.evaluate(axe);
  const told = (await violations(page)).length ? await violations(page) : [];
  assert.deepEqual(told, [], `${page.url()} keeps somebody out`);
}

async function violations(page) {
  const { violations } = await page.evaluate(() => window.axe.run(document, { iframes: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(({ target, failureSummary }) => `${target} ${failureSummary.replaceAll('\n', ' ')}`).join(' | ')}`);
}

/// Fails when a page is wider than the screen.
export async function fits(page) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert(wide <= screen, `${page.url()} is ${wide} wide on a screen of ${screen}`);
}

/// Keeps a picture, if somebody wants to see.
export async function picture(page, name) {
  if (!process.env.PICTURES) return;
  await mkdir(process.env.PICTURES, { recursive: true });
  await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true }).catch((error) => console.log(`no picture of ${name}: ${error.message}`));
}

/// Repeats until it does not throw.
export async function eventually(what, act) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (Date.now() > end) throw new Error(`not in time: ${what}: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
