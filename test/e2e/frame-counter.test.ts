import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { bundlePage, Chromium } from '@tavus-fleet/chromium';
import { expect, test } from 'vitest';
import { z } from 'zod';

const Answer = z.object({
  seen: z.array(z.int()),
  report: z.object({ framesDecoded: z.int(), width: z.int(), height: z.int() }),
});

test('pictures of a track without a peer connection are counted one by one', async () => {
  const script = await bundlePage(fileURLToPath(new URL('fixtures/meter-page.js', import.meta.url)), {
    format: 'iife',
  });
  const server = createServer((request, response) => {
    const isScript = request.url === '/meter.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><canvas></canvas><script src="/meter.js"></script>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const signal = AbortSignal.timeout(30_000);
  const browser = await Chromium.launch({ env: process.env }, signal);
  try {
    const page = await browser.openPage(`http://127.0.0.1:${port}/`, signal);
    const { seen, report } = Answer.parse(await page.call('(pictures) => globalThis.measure(pictures)', [20], signal));
    expect(seen.slice(0, 4)).toEqual([0, 0, 0, 0]); // half a second is left for a connection to show its receiver
    expect(report.framesDecoded).toBeGreaterThanOrEqual(10);
    expect(report.framesDecoded).toBeLessThanOrEqual(20);
    expect(report).toMatchObject({ width: 64, height: 48 });
  } finally {
    await browser.close();
    server.close();
  }
});
