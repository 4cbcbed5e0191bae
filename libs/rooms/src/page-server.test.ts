import { request } from 'node:http';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectFakePage } from './fake-page.ts';
import { PageServer } from './page-server.ts';

const identity = { conversationId: 'c1', epoch: 1 };
const clock = new FakeClock();
let server: PageServer;
beforeAll(async () => {
  server = await PageServer.start({ bundleUrl: 'http://127.0.0.1:8090/daily', clock });
});
afterAll(() => Promise.all([server.close(), server.close()]));

async function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: IncomingMessage['headers'] }> {
  const asked = request(new URL(path, server.url), { headers });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage]; // what 'response' carries
  response.resume();
  return { status: response.statusCode ?? 0, headers: response.headers };
}

describe('PageServer', () => {
  it('serves the page and its scripts, under a policy that names only ourselves and the bundle', async () => {
    for (const path of ['/', '/main.js', '/worker.js', '/worklet.js']) expect((await get(path)).status).toBe(200);
    const policy = (await get('/')).headers['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self' http://127.0.0.1:8090;");
    expect(policy).toContain("connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*;");
    expect(policy).not.toContain('unsafe');
  });

  it.each([
    { what: 'another path', path: '/package.json', headers: {} },
    { what: 'a path that climbs', path: '/..%2f..%2fpackage.json', headers: {} },
    { what: 'a query', path: '/?x', headers: {} },
    { what: 'another Host', path: '/', headers: { host: 'evil.example:80' } },
  ])('serves nothing for $what', async ({ path, headers }) => {
    expect((await get(path, headers)).status).toBe(404);
  });

  it('refuses a socket from another origin', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}channel`, { origin: 'http://evil.example' });
    const [error] = (await once(socket, 'error')) as [Error]; // what 'error' carries
    expect(error.message).toContain('403');
  });

  it('takes a token once', async () => {
    const { token, socket } = server.expect(identity, AbortSignal.timeout(5_000));
    const first = await connectFakePage(server.url, token, identity);
    const accepted = await socket;
    const second = await connectFakePage(server.url, token, identity);
    await second.closed;
    expect(accepted.readyState).toBe(WebSocket.OPEN);
    first.close();
    await first.closed;
  });

  it.each([
    { what: 'an unknown token', wrong: { token: 'x'.repeat(43) } },
    { what: 'the token with another epoch', wrong: { identity: { ...identity, epoch: 2 } } },
    { what: 'the token of another conversation', wrong: { identity: { ...identity, conversationId: 'c2' } } },
  ])('hangs up on $what', async ({ wrong }) => {
    const waiting = new AbortController();
    const { token, socket } = server.expect(identity, waiting.signal);
    const shown = { token, identity, ...wrong };
    const page = await connectFakePage(server.url, shown.token, shown.identity);
    await page.closed;
    waiting.abort(new Error('nobody came'));
    await expect(socket).rejects.toThrow('nobody came');
  });

  it('hangs up on a socket that says nothing for ten seconds', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}channel`, { origin: server.url.slice(0, -1) });
    const closed = once(socket, 'close');
    await once(socket, 'open');
    await vi.waitUntil(() => clock.pending > 0);
    await clock.pass(10_000);
    await closed;
    expect(clock.pending).toBe(0);
  });
});
