// Every page and every action, while all services run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NARROW, WIDE, accessible, answers, eventually, fits, picture, signIn, system, visit } from '../browser.mjs';

const SIGNED_OUT = [answers(401, /session/)];
// a page of letters asks once more after the last of them has gone
const LETTERS_GONE = [answers(404, /dead-letters\/(groups|letters)\/[^/?]+/)];
// each screen and each set of colours once with axe, which takes its time
const LOOKS = [['wide-light', WIDE, 'light', true], ['wide-dark', WIDE, 'dark', false], ['narrow-light', NARROW, 'light', false], ['narrow-dark', NARROW, 'dark', true]];
let orderId;

/// The first order of the list that has ended well.
async function someOrder(page) {
  if (!orderId) {
    await page.goto('/orders?status=confirmed');
    const link = page.getByRole('row').nth(1).getByRole('link').first();
    orderId = (await link.getAttribute('href')).split('/').pop();
  }
  return orderId;
}

test('somebody with a bad token is told why, and with a good one is let in', () =>
  visit('/', async (page) => {
    await accessible(page);
    await page.getByLabel('Your token').fill('nonsense');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('This is not a token').waitFor();
    await signIn(page, system.token);
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    assert.equal((await page.context().cookies()).filter(({ httpOnly, sameSite }) => httpOnly && sameSite === 'Strict').length, 1);
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
    assert(!kept.includes(system.token), 'the token is kept where scripts find it');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('The console has forgotten the token').waitFor();
    await page.goto('/orders');
    await page.getByLabel('Your token').waitFor();
  }, { token: null, expected: SIGNED_OUT }));

for (const [look, viewport, colours, withAxe] of LOOKS) {
  test(`every page can be used by everybody: ${look}`, () =>
    visit('/', async (page) => {
      const order = await someOrder(page);
      const pages = {
        overview: ['/', 'Overview'], orders: ['/orders', 'Orders'], stuck: ['/orders?view=stuck', 'Orders'], order: [`/orders/${order}`, 'Order'],
        dead: ['/dead-letters', 'Dead letters'], journal: ['/dead-letters?tab=log', 'Dead letters'],
        stock: ['/stock', 'Stock'], product: ['/stock/carrot-1kg', /carrot/i], mails: ['/mails', 'Mails'],
        catalogue: ['/catalogue', 'Catalogue'], event: ['/catalogue/order.created', 'order.created'], try: ['/try', 'Try it'], runbook: ['/runbooks/dead-letters', 'DeadLetters'], runbooks: ['/runbooks/README', /./], nothing: ['/no/such/page', 'Nothing is here'], garbled: ['/orders/%zz', 'Nothing is here'],
      };
      for (const [name, [address, heading]] of Object.entries(pages)) {
        await page.goto(address);
        await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
        await eventually(`${name} has been fetched`, async () => assert.equal(await page.locator('.waiting').count(), 0));
        if (withAxe) await accessible(page);
        await fits(page);
        await picture(page, `${name}-${look}`);
      }
    }, { viewport, colours }));
}

test('the overview shows figures that move, and what is wrong stands first', () =>
  visit('/', async (page) => {
    await page.getByRole('heading', { name: '2 dead letters of email' }).waitFor();
    await page.getByRole('heading', { name: '4 dead letters of inventory' }).waitFor();
    assert.equal(await page.getByRole('region', { name: 'Services' }).getByText('ready', { exact: true }).count(), 3);
    const chart = page.getByRole('img', { name: /^Orders per second/ });
    await eventually('the chart has a line', async () => assert.match(await chart.locator('path.line').first().getAttribute('d'), /L/));
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await chart.locator('line.now').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: '24 hours' }).click();
    await page.getByRole('button', { name: '24 hours', pressed: true }).waitFor();
    await page.getByRole('region', { name: 'What is wrong now' }).getByRole('link', { name: 'Runbook' }).first().click();
    await page.getByRole('heading', { level: 2 }).first().waitFor();
    await page.goBack();
    // orders that wait for the broken ones may stand first by now
    await page.getByRole('article').filter({ hasText: 'dead letters of email' }).getByRole('link', { name: 'Show' }).click();
    await page.getByRole('heading', { name: 'Dead letters', level: 1 }).waitFor();
  }));

test('orders are filtered, searched by order and by customer, and come live', () =>
  visit('/orders', async (page) => {
    const order = await someOrder(page);
    await page.goto('/orders');
    await page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name: 'pending' }).click();
    await eventually('only pending ones are listed', async () => {
      const pills = await page.locator('tbody .pill').allTextContents();
      assert(pills.length > 0 && pills.every((status) => status === 'pending'), String(pills));
    });
    await page.getByRole('searchbox').fill(system.customer);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('Orders of the customer').waitFor();
    await page.getByRole('searchbox').fill('nonsense');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('alert').getByText('36 characters').waitFor();
    await page.getByRole('searchbox').fill(order);
    await page.getByRole('searchbox').press('Enter');
    await page.waitForURL(`**/orders/${order}`);
    await page.getByRole('heading', { name: 'Where it stands' }).waitFor();
  }, { expected: [answers(404, new RegExp(`s/order/v1/orders/${system.customer}`))] }));

test('an order shows its way, its state at any version, its mails, and its customer when asked', () =>
  visit('/orders', async (page) => {
    await page.goto(`/orders/${await someOrder(page)}`);
    const way = page.getByRole('region', { name: 'Its way through all services' });
    for (const step of ['order.created', 'reservation held', 'inventory.reserved', 'payment.completed', 'order.confirmed', 'mail sent', 'reservation committed']) await way.getByText(step, { exact: false }).first().waitFor();
    await way.getByText('done in email').waitFor();
    await way.locator('summary').first().click();
    await way.getByText('"order_id"').first().waitFor();
    await page.getByRole('img', { name: /The order is confirmed/ }).waitFor();
    const slider = page.getByRole('slider', { name: 'Version' });
    await slider.focus();
    await page.keyboard.press('Home');
    await page.getByRole('heading', { name: 'What it was in version 1' }).waitFor();
    await page.getByRole('img', { name: /The order is pending/ }).waitFor();
    await page.getByRole('button', { name: 'Later' }).click();
    await page.getByRole('heading', { name: 'What it was in version 2' }).waitFor();
    await page.keyboard.press('Tab');
    const customer = page.getByRole('region', { name: 'Customer' });
    assert.equal(await customer.getByText('@').count(), 0, 'an address is shown when it is asked for');
    await customer.getByRole('button', { name: 'Show name and address' }).click();
    await customer.getByText('@').waitFor();
    await page.getByRole('region', { name: 'Mails' }).getByRole('link', { name: 'order-confirmed' }).click();
    await page.frameLocator('iframe').getByText('Your order is confirmed').waitFor();
  }));

test('an order is nudged and cancelled', () =>
  visit('/orders', async (page) => {
    await page.goto(`/orders/${await someOrder(page)}`);
    await page.getByRole('button', { name: 'Nudge' }).click();
    await page.getByText('It waits for nothing').waitFor();
    await page.getByRole('button', { name: 'Cancel …' }).click();
    await accessible(page);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Cancel …' }).click();
    await page.getByLabel('Note (optional)').fill('Asked by phone');
    await page.getByRole('button', { name: 'Cancel the order' }).click();
    await page.getByRole('img', { name: /The order is cancelled \(requested\)/ }).waitFor();
    await page.getByText('Asked by phone').first().waitFor();
    await page.getByText('payment.refunded').first().waitFor();
    assert(await page.getByRole('button', { name: 'Cancel …' }).isDisabled());
    orderId = undefined;
  }));

test('dead letters are looked into, and replayed by a canary after a dry run', () =>
  visit('/dead-letters', async (page) => {
    const group = page.locator('.group', { hasText: 'order.created' });
    await group.getByText('transient-exhausted').waitFor();
    await group.getByRole('link', { name: 'Look inside' }).click();
    await page.getByRole('heading', { name: /^4 ×/ }).waitFor();
    await accessible(page);
    await page.locator('.letters a').first().click();
    for (const part of ['Why it is dead', 'Headers', 'Body']) await page.getByRole('heading', { name: part }).waitFor();
    await page.getByText('"order.created"').first().waitFor();
    await accessible(page);
    await picture(page, 'letter');
    await page.goBack();
    await page.getByRole('button', { name: 'Replay all …' }).click();
    await accessible(page);
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('4 letters would be replayed').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Replay', exact: true }).click();
    const run = page.locator('.run').first();
    await run.getByText('4 of 4 replayed, 0 failed again').waitFor();
    await run.getByText('done', { exact: true }).waitFor();
    await page.getByText('Nothing is left of this group').waitFor();
    await picture(page, 'run');
  }, { expected: LETTERS_GONE }));

test('a replay that fails again says so, an edit mends it, and what nothing mends is discarded', () =>
  visit('/dead-letters', async (page) => {
    await page.locator('.group', { hasText: 'WarnOfLowStock' }).getByRole('link', { name: 'Look inside' }).click();
    await page.locator('.letters a').first().click();
    await page.getByText('missing field').first().waitFor();
    await page.getByRole('button', { name: 'Replay …' }).click();
    await page.getByRole('dialog').getByLabel(/Straight on/).check();
    await page.getByRole('dialog').getByRole('button', { name: 'Replay', exact: true }).click();
    await page.locator('.run').getByText('failed again', { exact: true }).waitFor();
    await page.getByText('Failed again in').waitFor();

    await page.getByRole('button', { name: 'Edit …' }).click();
    const body = page.getByRole('textbox', { name: 'Body' });
    const event = JSON.parse(await body.inputValue());
    await body.fill('{"no": "event"}');
    await page.getByRole('button', { name: 'Check and replay' }).click();
    await page.getByText('not a body that can be replayed').first().waitFor();
    await page.getByRole('button', { name: 'Edit …' }).click();
    event.data.threshold = 5;
    await body.fill(JSON.stringify(event));
    await page.getByRole('button', { name: 'Check and replay' }).click();
    await page.getByText('It is not here any more').waitFor();

    await page.goto('/dead-letters');
    await page.locator('.group', { hasText: 'decode' }).getByRole('button', { name: 'Discard …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click();
    await page.getByText('1 discarded').waitFor();
    await page.getByText('Nothing is dead').waitFor();

    await page.getByRole('tab', { name: 'Journal' }).click();
    for (const action of ['replay', 'edit', 'discard']) await page.getByRole('cell', { name: new RegExp(`^${action} (begin|end)`) }).first().waitFor();
    await page.getByText('by console').first().waitFor();
    assert.equal(await page.getByText('Lamp of the body').count(), 0, 'the journal holds nothing of a body');
  }, { expected: LETTERS_GONE }));

test('stock shows levels and the ledger, and is adjusted', () =>
  visit('/stock', async (page) => {
    await page.getByText('out of stock').first().waitFor();
    await page.getByRole('searchbox').fill('carrot');
    await page.getByRole('link', { name: 'Product carrot-1kg' }).click();
    await page.getByText('committed').first().waitFor();
    await page.getByRole('button', { name: 'Adjust …' }).click();
    await accessible(page);
    await page.getByLabel(/By how many/).fill('-100000');
    await page.getByLabel('Reason').fill('counted');
    await page.getByRole('dialog').getByRole('button', { name: 'Adjust' }).click();
    await page.locator('.toast.bad').first().waitFor();
    await page.getByRole('button', { name: 'Adjust …' }).click();
    await page.getByLabel(/By how many/).fill('7');
    await page.getByLabel('Reason').fill('found behind a shelf');
    await page.getByRole('dialog').getByRole('button', { name: 'Adjust' }).click();
    await page.getByRole('cell', { name: 'found behind a shelf' }).waitFor();
  }, { expected: [answers(409, /s\/inventory\/v1\/products\/carrot-1kg\/stock/)] }));

test('mails are listed with masked addresses, and shown in a frame that may do nothing', () =>
  visit('/mails', async (page) => {
    await page.locator('.mails button').first().waitFor();
    assert.match(await page.locator('.mails button').first().textContent(), /\*\*\*@/);
    await page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name: 'sent' }).click();
    await page.locator('.mails button', { hasText: 'order-confirmed' }).first().click();
    const frame = page.locator('iframe');
    assert.equal(await frame.getAttribute('sandbox'), '');
    await page.frameLocator('iframe').getByText('Your order is confirmed').waitFor();
  }));

test('the catalogue has every event with its readers, its data and what travels now', () =>
  visit('/catalogue', async (page) => {
    await page.locator('.flow a[href$="order.created"] .note').filter({ hasText: /[1-9]/ }).waitFor();
    await page.locator('a.card', { hasText: 'order.confirmed' }).click();
    await page.getByRole('heading', { name: /^order\.confirmed/, level: 1 }).waitFor();
    await page.getByText('confirms the order by mail').waitFor();
    await page.getByText('Its JSON Schema').first().click();
    await page.getByText('"properties"').first().waitFor();
    await page.getByRole('link', { name: 'Catalogue' }).last().click();
    await page.getByRole('heading', { name: 'Catalogue', level: 1 }).waitFor();
  }));

test('orders of each kind are placed and watched', () =>
  visit('/try', async (page) => {
    const placed = async (kind, status, reason = '') => {
      await page.locator('.kind', { hasText: kind }).click();
      await page.locator('.panel h2', { hasText: kind }).filter({ hasText: status }).filter({ hasText: reason }).waitFor();
    };
    await page.getByLabel('Product').selectOption('carrot-1kg');
    await placed('All goes well', 'confirmed');
    await page.getByRole('img', { name: /mail sent/ }).waitFor();
    await placed('Out of stock', 'cancelled', 'out-of-stock');
    await placed('Payment declined', 'cancelled', 'payment-failed');
    await placed('Payment by webhook', 'reserved');
    await accessible(page);
    await picture(page, 'try-waiting');
    await page.getByRole('button', { name: 'It is paid' }).click();
    await page.locator('.panel h2', { hasText: 'confirmed' }).first().waitFor();
    await placed('Payment by webhook', 'reserved');
    await page.getByRole('button', { name: 'It is refused' }).click();
    await page.locator('.panel h2', { hasText: 'payment-failed' }).first().waitFor();
    await placed('Payment on the third try', 'confirmed');
    assert.equal(await page.locator('.placed li').count(), 6);
    await picture(page, 'try-placed');
  }));

test('a token that may only read sees what it may, and is told of the rest', () =>
  visit('/dead-letters', async (page) => {
    await page.getByText('For operators').waitFor();
    await accessible(page);
    await page.goto('/mails');
    await page.getByRole('alert').getByText('scope').waitFor();
    await page.goto('/try');
    await page.getByText('Your token cannot place orders').waitFor();
    assert(await page.getByRole('button', { name: /^All goes well/ }).isDisabled());
    await page.goto(`/orders/${system.broken[0]}`);
    await page.getByText('is told to tokens with the scope').waitFor();
    assert(await page.getByRole('button', { name: 'Nudge' }).isDisabled());
    assert(await page.getByRole('button', { name: 'Cancel …' }).isDisabled());
  }, { token: system.reader, expected: [answers(403, /s\/(email\/v1\/emails|inventory\/v1\/reservations\/[0-9a-f-]+)/)] }));

test('the colours are chosen and kept, and everything is reached by keyboard', () =>
  visit('/', async (page) => {
    await page.getByRole('button', { name: 'Dark' }).click();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.reload();
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.keyboard.press('Tab');
    await page.getByRole('link', { name: 'Skip to the content' }).waitFor();
    for (const name of ['Warren', 'Overview', 'Orders']) {
      await page.keyboard.press('Tab');
      assert.match(await page.evaluate(() => document.activeElement.textContent), new RegExp(name));
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Orders', level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await page.goBack();
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
  }));
