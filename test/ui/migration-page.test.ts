import { createServer, connect, type Server } from 'node:net';
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { describeBrowser, startBrowser } from '../support/browser.ts';
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../support/real-consul.ts';

const testMsMax = 180_000;
const base = '/v1/grapevine/migration';
const hostile = '<img src=x onerror="window.pwned=1">';
/** What is shown as text all the same; the last letter would turn the direction of what follows. */
const hostilePrefix = `${hostile}\u202e`;
const hostileReason = '"><script>window.pwned=1</script>';

/** A way to the gateway on which it sees another address than that of the test. */
function relayFrom(
  localAddress: string,
  port: number,
): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer((inner) => {
    const outer = connect({ port, host: '127.0.0.1', localAddress });
    inner.pipe(outer).pipe(inner);
    inner.on('error', () => outer.destroy());
    outer.on('error', () => inner.destroy());
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const { port: own } = server.address() as { port: number };
      resolve({ server, url: `http://127.0.0.1:${own}` });
    }),
  );
}

/** Asks with headers that a browser would set itself. */
function askWith(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<{
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => (text += part));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describeBrowser('the live page of a migration', describeRealConsul, () => {
  let consul: RealConsul;
  let gateway: GatewayProcess;
  let browser: Browser;
  let page: Page;
  let relay: { readonly server: Server; readonly url: string };
  const complaints: string[] = [];

  const put = async (key: string): Promise<void> => {
    const at = `${consul.url}/v1/kv/${encodeURIComponent(key)}`;
    const answer = await fetch(at, { method: 'PUT', body: 'value' });
    if (!answer.ok) throw new Error(`${key}: ${answer.status}`);
  };
  const card = (of: string) => page.getByRole('article', { name: `Rule of ${of}`, exact: true });
  const phaseOf = (of: string) => card(of).locator('[aria-current=step]');
  const button = (name: string | RegExp) =>
    page.getByRole('button', { name, exact: typeof name === 'string' });
  const pwned = (): Promise<unknown> => page.evaluate('window.pwned');

  beforeAll(async () => {
    [consul, browser] = await Promise.all([startRealConsul(), startBrowser()]);
    const config = {
      migration: { source: consul.url },
      http_config: { allow_write_http_from: ['127.0.0.1/32'] },
    };
    const keys = Array.from({ length: 120 }, (_, i) => `app/${hostile}${i}`);
    [gateway] = await Promise.all([startGateway({ config }), ...[...keys, 'other/key'].map(put)]);
    // Steps are asked for once somebody copies, and the source has been looked at.
    for (let runner: unknown = null; runner === null;) {
      const answer = await fetch(`${gateway.url}/v1/grapevine/migration/status`);
      const status = (await answer.json()) as { runner: unknown; source: unknown };
      runner = status.source === null ? null : status.runner;
    }
    relay = await relayFrom('127.0.0.2', Number(new URL(gateway.url).port));
    page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
    // Long, since many tests may share few cores: none of this is about time.
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('dialog', (dialog) => complaints.push(dialog.message()));
    await page.goto(`${gateway.url}/ui/`);
  }, testMsMax);
  afterAll(async () => {
    relay?.server.close();
    await Promise.all([browser?.close(), gateway?.stop(), consul?.stop()]);
  }, testMsMax);

  test(
    'shows the source and that everything passes through',
    async () => {
      expect(page.url()).toBe(`${gateway.url}/ui/migration`);
      await phaseOf('all keys').waitFor();
      expect(await phaseOf('all keys').textContent()).toBe('passthrough');
      expect(await phaseOf('the catalog').textContent()).toBe('passthrough');
      await page.getByText(consul.url).waitFor();
      await page.getByText('live', { exact: true }).waitFor();
      await card('all keys').getByText('the gateway acts on it').waitFor();
      expect(await page.locator('#read-only').isHidden()).toBe(true);
    },
    testMsMax,
  );

  test(
    'makes a step after its dry run and for a reason, by keys alone',
    async () => {
      await page.locator('#new-prefix').focus();
      await page.keyboard.type('app/');
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'app/: to mirror' });
      await dialog.getByRole('list', { name: 'Gates' }).getByText('source-reachable').waitFor();
      await dialog.getByText('begin to copy everything from the source').waitFor();
      expect(await button('Step to mirror').isDisabled()).toBe(true);
      // The focus is in the field for the reason.
      await page.keyboard.type(`why ${hostileReason}`);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Step to mirror');
      await page.keyboard.press('Enter');
      await dialog.getByText('every gateway acts on it').waitFor();
      await page.keyboard.press('Escape');
      expect(await page.evaluate('document.activeElement.id')).toBe('new-prefix');
      await phaseOf('app/').getByText('mirror').waitFor();
      await page.getByRole('log').getByText('app/: mirror').waitFor();
    },
    testMsMax,
  );

  test(
    'follows what is copied',
    async () => {
      await card('app/').getByText('120', { exact: true }).waitFor();
      await page.getByRole('log').getByText('app/: everything is copied').waitFor();
      await card('app/').getByRole('img', { name: 'Lag over the last minutes' }).waitFor();
      await card('app/').locator('path.spark-line').first().waitFor({ state: 'attached' });
      expect(await card('app/').locator('progress').count()).toBe(0);
    },
    testMsMax,
  );

  test(
    'shows how the gates of the next step stand, on the card of each rule',
    async () => {
      const gates = (of: string, to: string) =>
        card(of).getByRole('region', { name: `Gates of ${of} to ${to}`, exact: true });
      await gates('app/', 'dual').getByText('all 6 gates are green').waitFor();
      await gates('the catalog', 'mirror').getByText('all 2 gates are green').waitFor();
      const names = card('app/').locator('[aria-label="Green gates of app/ to dual"]');
      expect(await names.locator('li').count()).toBe(6);
      expect(await names.isVisible()).toBe(false);
    },
    testMsMax,
  );

  test(
    'says what there is to be moved',
    async () => {
      await button('Plan…').click();
      const dialog = page.getByRole('dialog', { name: 'What there is to be moved' });
      await dialog.getByText('Biggest prefixes').waitFor();
      expect(await dialog.locator('.bars li').first().textContent()).toBe('app/120');
      expect(await dialog.locator('.figures').textContent()).toMatch(/Keys12\dabout .*Services1on 1 node/);
      await button('Close').click();
    },
    testMsMax,
  );

  test(
    'compares everything of a rule, and says how that went on the card',
    async () => {
      await button('Verify app/').click();
      await button('Compare everything').click();
      const dialog = page.getByRole('dialog', { name: 'Verify app/' });
      await dialog.getByText('120 keys, the same on both sides').waitFor();
      await button('Close').click();
      await card('app/').getByText('120 entries, all equal').waitFor();
      expect(await dialog.isVisible()).toBe(false);
    },
    testMsMax,
  );

  test(
    'shows names and reasons as text, whoever wrote them',
    async () => {
      await page.locator('#new-prefix').fill(hostilePrefix);
      await button('Look at the first step…').click();
      await page.getByRole('dialog').getByText('the step could be made').waitFor();
      await page.locator('#step-reason').fill(hostileReason);
      await button('Step to mirror').click();
      await page.getByRole('dialog').getByText('every gateway acts on it').waitFor();
      await button('Close').click();
      await page.locator('.rule').getByText('onerror="window.pwned=1">\\u{202e}').first().waitFor();
      await page.getByText(hostileReason).first().waitFor();
      expect(await page.locator('img').count()).toBe(0);
      expect(await pwned()).toBeUndefined();
    },
    testMsMax,
  );

  test(
    'asks what the breaker asks, and hands the answer on',
    async () => {
      await fetch(`${consul.url}/v1/kv/app/?recurse`, { method: 'DELETE' });
      const question = page.getByRole('alert').filter({ hasText: 'Many deletes, held back' });
      await question.waitFor();
      expect(await question.textContent()).toContain('120');
      await button('Remove them here too: app/').click();
      await page.getByRole('dialog', { name: 'Remove them here too: app/' }).waitFor();
      await button('Remove them').click();
      await page.getByRole('dialog').getByText('They are removed.').waitFor();
      await button('Close').click();
      await question.waitFor({ state: 'detached' });
      expect(await pwned()).toBeUndefined();
    },
    testMsMax,
  );

  test(
    'pauses copying for a reason that it shows, at the gate that is red by it as well, and resumes',
    async () => {
      await button('Pause copying…').click();
      await page.locator('#pause-reason').fill('<b>lunch');
      await button('Pause').click();
      await page.getByRole('dialog').getByText('Copying is paused.').waitFor();
      await button('Close').click();
      await page.getByText('“<b>lunch”').first().waitFor();
      const stopping = card('app/').getByRole('list', { name: 'Gates that stop app/ before dual' });
      const red = stopping.locator('[data-state=red]').filter({ hasText: 'copying-runs' });
      await red.getByText('paused: <b>lunch').waitFor();
      await button('Resume copying').click();
      await button('Pause copying…').waitFor();
      await red.waitFor({ state: 'detached' });
      expect(await page.locator('#overview').textContent()).not.toContain('lunch');
    },
    testMsMax,
  );

  test(
    'is read-only for an address that may not write, and says why',
    async () => {
      const other = await browser.newPage();
      await other.goto(`${relay.url}/ui/migration`);
      const note = other.getByRole('status');
      await note.getByText('Read-only: 127.0.0.2 may not write here').waitFor();
      await other.locator('.rule').first().waitFor();
      const enabled = await other.locator('main button:enabled, #panic:enabled').count();
      expect(enabled).toBe(0);
      const refused = await other.evaluate(
        `fetch('${base}/panic', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' }).then((r) => r.status)`,
      );
      expect(refused).toBe(403);
      await other.close();
    },
    testMsMax,
  );

  test(
    'is served under a strict policy, and its orders are not taken from elsewhere',
    async () => {
      const shown = await askWith(`${gateway.url}/ui/migration`, 'GET', {});
      expect(shown.headers['content-security-policy']).toMatch(/default-src 'none'; script-src 'self'/);
      expect(shown.headers['content-security-policy']).toMatch(/frame-ancestors 'none'/);
      expect(shown.headers['x-content-type-options']).toBe('nosniff');
      expect(shown.text).not.toMatch(/<script>|style=|onclick=/);
      expect((await askWith(`${gateway.url}/ui/migration`, 'POST', {})).status).toBe(405);
      for (const path of [
        '/ui/../package.json',
        '/ui/%2e%2e/package.json',
        '/ui/tsconfig.json',
        '/ui/nothing',
      ]) {
        expect((await askWith(gateway.url + path, 'GET', {})).text).not.toMatch(/grapevine|compilerOptions/);
      }
      const body = JSON.stringify({ reason: 'evil' });
      const type = { 'Content-Type': 'application/json' };
      for (const headers of [
        { Origin: 'http://evil.example', ...type },
        { Origin: 'http://evil.example', Host: 'evil.example', ...type },
        { 'Sec-Fetch-Site': 'cross-site', ...type },
        { Origin: gateway.url, 'Content-Type': 'text/plain' },
      ]) {
        const answer = await askWith(`${gateway.url}${base}/panic`, 'PUT', headers, body);
        expect([answer.status, answer.text]).toEqual([403, expect.stringMatching(/^Orders /)]);
      }
      const foreign = await browser.newPage();
      await foreign.goto(relay.url);
      const outcome = await foreign.evaluate(
        `fetch('${gateway.url}${base}/panic', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' }).then((r) => r.status, () => 'refused')`,
      );
      expect(outcome).toBe('refused');
      await foreign.close();
      expect(await phaseOf('app/').textContent()).toBe('mirror');
    },
    testMsMax,
  );

  test(
    'names all that can be pressed or filled in, shows where the focus is, and fits a phone',
    async () => {
      await page.setViewportSize({ width: 400, height: 800 });
      await button('Panic').focus();
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Tab');
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
      expect(outline).toBe('solid');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
      const unnamed = await page.evaluate(
        `[...document.querySelectorAll('button, input, a')].filter((e) => !(e.getAttribute('aria-label') ?? e.textContent + (e.labels?.[0]?.textContent ?? '')).trim()).map((e) => e.outerHTML)`,
      );
      expect(unnamed).toEqual([]);
      const names = await page.evaluate(
        `[...document.querySelectorAll('button:not([hidden])')].map((e) => e.getAttribute('aria-label') ?? e.textContent)`,
      );
      expect(new Set(names as string[]).size).toBe((names as string[]).length);
    },
    testMsMax,
  );

  test(
    'shows the present report as the page of reports',
    async () => {
      const { status, text, headers } = await askWith(`${gateway.url}/ui/report`, 'GET', {});
      expect([status, headers['x-frame-options']]).toEqual([200, 'DENY']);
      expect(text).toMatch(/readconsistency\/1/);
    },
    testMsMax,
  );

  test(
    'panics when that is typed',
    async () => {
      await button('Panic').click();
      await page.locator('#panic-reason').fill('smoke');
      expect(await button('Everything to the source').isDisabled()).toBe(true);
      await page.locator('#panic-word').fill('panic');
      await button('Everything to the source').click();
      await page.getByRole('dialog').getByText('rules are passthrough now').waitFor();
      await button('Close').click();
      await phaseOf('app/').getByText('passthrough').waitFor();
    },
    testMsMax,
  );

  test(
    'says so when the gateway no longer answers, and goes on when it does; nothing ever went wrong in it',
    async () => {
      expect(complaints).toEqual([]);
      await page.context().setOffline(true);
      await page.getByText(/cannot be reached; again in/).waitFor();
      // The page tries by itself as well: the button is there for as long as that does not help.
      await button('Try now').click();
      await page.getByText(/cannot be reached; again in/).waitFor();
      await page.context().setOffline(false);
      await page.getByText('live', { exact: true }).waitFor();
      expect(await pwned()).toBeUndefined();
    },
    testMsMax,
  );
});
