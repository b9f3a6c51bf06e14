// While inventory is stopped: every page says so in its place, and goes on with the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, answers, eventually, picture, visit } from '../browser.mjs';

const AWAY = [answers(502, /s\/inventory\/v1\/.+/)];

test('the first screen names the service that was stopped, and what that means', () =>
  visit('/', async (page) => {
    const wrong = page.getByRole('region', { name: 'What is wrong now' });
    await wrong.getByRole('heading', { name: 'inventory does not answer' }).waitFor();
    await wrong.getByText('stay pending').first().waitFor();
    await page.getByRole('link', { name: /Overview.*urgent/ }).waitFor();
    await page.getByRole('region', { name: 'Services' }).getByText('does not answer').waitFor();
    await accessible(page);
    await picture(page, 'away');
  }));

test('pages that need it say so, and the others go on', () =>
  visit('/stock', async (page) => {
    await page.getByRole('alert').getByText('inventory does not answer').first().waitFor();
    await accessible(page);
    await page.goto('/try');
    await page.getByRole('alert').getByText('inventory does not answer').first().waitFor();
    await page.goto('/orders');
    // a row may move while it is being clicked: new orders come in on top
    await page.goto(await page.getByRole('row').nth(1).getByRole('link').first().getAttribute('href'));
    await page.getByRole('heading', { name: 'Where it stands' }).waitFor();
    await page.getByText('does not tell').waitFor();
    await page.getByText('order.created').first().waitFor();
    await accessible(page);
    await page.goto('/dead-letters');
    await page.getByText('Nothing is dead').waitFor();
    await page.goto('/mails');
    await page.locator('.mails button').first().waitFor();
    await eventually('no part of it is missing', async () => assert.equal(await page.getByRole('alert').count(), 0));
  }, { expected: AWAY }));
