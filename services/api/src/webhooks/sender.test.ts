import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { systemClock } from '@tavus-fleet/lifecycle';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import type { Resolve } from './address-guard.ts';
import { WebhookSender } from './sender.ts';

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const newer = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const message = { id: 'evt_c1_1690000000000-0', body: '{"type":"conversation.ended","data":{}}' };
const never = new AbortController().signal;
const loopback = ['127.0.0.0/8', '::1/128'];
let cleanup = new AsyncDisposableStack();

afterEach(async () => {
  await cleanup.disposeAsync();
  cleanup = new AsyncDisposableStack();
});

type Seen = { readonly headers: IncomingMessage['headers']; readonly body: string };

/** A receiver on loopback; what it saw, and its port. */
async function receiver(
  answer: (response: ServerResponse) => void,
  host = '127.0.0.1',
): Promise<{ port: number; seen: Seen[]; connections: () => number }> {
  const seen: Seen[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      seen.push({ headers: request.headers, body });
      answer(response);
    });
  }).listen(0, host);
  server.on('connection', () => (connections += 1));
  await once(server, 'listening');
  cleanup.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return { port: address.port, seen, connections: () => connections };
}

function sender(networks: readonly string[] = loopback, resolve?: Resolve, answerMs = 2_000): WebhookSender {
  const made = new WebhookSender({
    networks,
    version: '0',
    clock: systemClock,
    answerMs,
    ...(resolve ? { resolve } : {}),
  });
  cleanup.defer(() => made.close());
  return made;
}

const to = (url: string, secrets = [secret]) => ({ name: 'backend', url, secrets });
/** Names that resolve to these addresses, one list after another and then the last. */
const names = (...answers: string[][]): Resolve => {
  let at = 0;
  return (_, __, callback) => {
    const addresses = answers[Math.min(at++, answers.length - 1)] ?? [];
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
};

describe('a webhook', () => {
  it('is signed with each secret over the bytes that are sent', async () => {
    const { port, seen } = await receiver((response) => response.writeHead(204).end());
    await sender().send(to(`http://127.0.0.1:${port}/hook?t=1`, [secret, newer]), message, never);
    const [{ headers, body } = { headers: {}, body: '' }] = seen;
    expect(body).toBe(message.body);
    expect(headers['webhook-id']).toBe(message.id);
    expect(headers['content-type']).toBe('application/json');
    expect(String(headers['webhook-signature']).split(' ')).toHaveLength(2);
    const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    for (const each of [secret, newer]) expect(new Webhook(each).verify(body, given)).toEqual(JSON.parse(message.body));
    expect(() => new Webhook(`whsec_${Buffer.alloc(32, 3).toString('base64')}`).verify(body, given)).toThrow(
      'No matching signature',
    );
    expect(() => new Webhook(secret).verify(`${body} `, given)).toThrow('No matching signature');
  });

  it.each([
    {
      when: 'answers 500',
      answer: (r: ServerResponse) => r.writeHead(500).end('x'),
      says: 'answered 500',
      kind: 'failed',
    },
    { when: 'answers 410', answer: (r: ServerResponse) => r.writeHead(410).end(), says: 'answered 410', kind: 'gone' },
    {
      when: 'answers 404',
      answer: (r: ServerResponse) => r.writeHead(404).end(),
      says: 'answered 404',
      kind: 'failed',
    },
    { when: 'hangs', answer: () => undefined, says: 'did not answer in time', kind: 'failed' },
    {
      when: 'hangs in its body',
      answer: (r: ServerResponse) => void r.writeHead(200).write('x'),
      says: 'did not answer in time',
      kind: 'failed',
    },
    {
      when: 'hangs up',
      answer: (r: ServerResponse) => void r.socket?.destroy(),
      says: 'could not be reached',
      kind: 'failed',
    },
  ])('fails when the receiver $when', async ({ answer, says, kind }) => {
    const { port } = await receiver(answer);
    const sending = sender(loopback, undefined, 300).send(to(`http://127.0.0.1:${port}/`), message, never);
    await expect(sending).rejects.toMatchObject({ kind, message: expect.stringContaining(says) });
  });

  it('is taken though the receiver answers with an endless body', async () => {
    const { port } = await receiver((response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    });
    await expect(sender().send(to(`http://127.0.0.1:${port}/`), message, never)).resolves.toBeUndefined();
  });

  it.each([301, 302, 303, 307, 308])('follows no redirect (%i), wherever it points', async (status) => {
    const inside = await receiver((response) => response.writeHead(200).end());
    const outside = await receiver((response) =>
      response.writeHead(status, { location: `http://127.0.0.1:${inside.port}/` }).end(),
    );
    await expect(sender().send(to(`http://127.0.0.1:${outside.port}/`), message, never)).rejects.toMatchObject({
      kind: 'failed',
      message: `The receiver answered ${status}.`,
    });
    expect(inside.connections()).toBe(0);
  });

  it('rejects with the signal’s reason when its sender leaves', async () => {
    const { port } = await receiver(() => undefined);
    const leaving = new AbortController();
    const sending = sender().send(to(`http://127.0.0.1:${port}/`), message, leaving.signal);
    leaving.abort(new Error('leaving'));
    await expect(sending).rejects.toThrow('leaving');
  });
});

describe('where it may not go', () => {
  const refused = { name: 'WebhookFailed', kind: 'refused' };

  it.each([
    'http://127.0.0.1:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f.1:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::ffff:7f00:1]:PORT/',
    'http://0.0.0.0:PORT/',
    'https://127.0.0.1:PORT/',
    'https://169.254.169.254/latest/meta-data/',
    'https://[fd00::1]/',
  ])('%s: nothing connects', async (form) => {
    const { port, connections } = await receiver((response) => response.writeHead(200).end());
    await expect(sender([]).send(to(form.replace('PORT', String(port))), message, never)).rejects.toMatchObject(
      refused,
    );
    expect(connections()).toBe(0);
  });

  it.each([
    [['10.0.0.1']],
    [['::ffff:10.0.0.1']],
    [['169.254.169.254']],
    [['fe80::1']],
    [['8.8.8.8', '192.168.0.1']],
    [['2001:4860:4860::8888', '::1']],
  ])('a name that resolves to %j', async (addresses) => {
    await expect(
      sender([], names(addresses)).send(to('https://hooks.example.com/'), message, never),
    ).rejects.toMatchObject(refused);
  });

  it('a name that points inside once it has been looked at: each connection is judged by the address that it goes to', async () => {
    const { port, seen, connections } = await receiver((response) =>
      response.writeHead(200, { connection: 'close' }).end(),
    );
    const rebinding = sender(['127.0.0.1/32'], names(['127.0.0.1'], ['127.0.0.2']));
    const endpoint = to(`http://hooks.example.localhost:${port}/`);
    await rebinding.send(endpoint, message, never);
    await expect(rebinding.send(endpoint, message, never)).rejects.toMatchObject(refused);
    expect(seen).toHaveLength(1);
    expect(connections()).toBe(1);
  });

  it('a name of localhost that is not loopback goes nowhere without TLS', async () => {
    await expect(
      sender(['10.0.0.0/8'], names(['10.0.0.1'])).send(to('http://hooks.localhost/'), message, never),
    ).rejects.toMatchObject(refused);
  });

  it('a name that does not resolve fails, and may come back', async () => {
    const nowhere: Resolve = (_, __, callback) => callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []);
    await expect(sender([], nowhere).send(to('https://hooks.example.com/'), message, never)).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('ENOTFOUND'),
    });
  });

  it('says nothing of the URL', async () => {
    const sending = sender([]).send(to('https://10.0.0.1/token-in-path'), message, never);
    await expect(sending).rejects.toThrow(expect.not.stringContaining('token-in-path'));
  });
});
