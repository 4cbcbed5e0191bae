// Webhooks with everything dying around them: api processes, an owner, Redis, the receiver. Nothing is lost, every id has one body.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { seeded } from '@tavus-fleet/testkit/signals';
import { expect, it } from 'vitest';
import { eventually } from '../e2e/fixtures/users.ts';
import { WHOLE } from '../fixtures/receiver.ts';
import { WebhookWorld } from '../fixtures/webhook-world.ts';

it.concurrent('reach a receiver that fails, hangs and hangs up: the same id and bytes, until it takes them', async () => {
  await using world = await WebhookWorld.start();
  const { receiver } = world;
  const tries = new Map<string, number>();
  receiver.answers((response, { id }) => {
    const count = (tries.get(id) ?? 0) + 1;
    tries.set(id, count);
    const how = count > 1 ? 'take' : ['500', 'hang', 'hang up', 'redirect'][tries.size % 4];
    if (how === '500') response.writeHead(500).end();
    else if (how === 'hang up') response.socket?.destroy();
    else if (how === 'redirect') response.writeHead(307, { location: 'http://169.254.169.254/' }).end();
    else if (how === 'take') response.writeHead(200).end('taken');
  });
  const api = await world.startApi();
  const id = await world.create();
  await world.live(id);
  const done = (): boolean => tries.size === WHOLE.length && [...tries.values()].every((count) => count >= 2);
  await eventually('every webhook a second time', done, 40_000);
  expect(receiver.typesOf(id)).toEqual(WHOLE);
  for (const webhookId of tries.keys())
    expect(new Set(receiver.taken.filter((one) => one.id === webhookId).map(({ body }) => body)).size).toBe(1);
  expect(receiver.wrong).toEqual([]);
  const logged = api.lines().join('\n');
  expect(logged).toContain('webhook failed; it is tried again');
  for (const secret of [receiver.secret, '/hooks']) expect(logged).not.toContain(secret);
});

it.concurrent('are made of an end whose owner died in that very turn', async () => {
  await using world = await WebhookWorld.start();
  await world.startApi();
  const id = await world.create();
  const owner = fileURLToPath(new URL('../fixtures/dying-owner.ts', import.meta.url));
  const child = spawn(process.execPath, [owner, world.server.url, world.prefix, id], { stdio: 'inherit' });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  expect(await world.records.get(id)).toMatchObject({ state: 'ended' });
  const told = (): boolean => world.receiver.typesOf(id).includes('conversation.ended');
  const tookMs = await eventually('the end', told, 20_000);
  expect(world.receiver.typesOf(id)).toEqual(['state queued', 'state ended', 'conversation.ended']);
  process.stdout.write(`figures webhook of a dead owner ${JSON.stringify({ tookMs })}\n`);
});

it.concurrent('are all there after a storm: api processes killed, Redis restarted, a receiver that fails at random', async () => {
  await using world = await WebhookWorld.start();
  const { receiver } = world;
  const random = seeded(11);
  let failing = true;
  receiver.answers((response) => response.writeHead(failing && random() < 0.2 ? 503 : 200).end());
  const first = await world.startApi();
  const second = await world.startApi();
  const ids: string[] = [];
  for (let n = 0; n < 24; n += 1) {
    const id = await world.create();
    ids.push(id);
    const living = world.live(id);
    if (n === 6) first.kill('SIGKILL');
    if (n === 12) await world.server.restart();
    if (n === 18) second.kill('SIGKILL');
    await living;
  }
  await world.startApi();
  failing = false;
  await eventually('every webhook', () => ids.every((id) => receiver.typesOf(id).length === WHOLE.length), 45_000);
  for (const id of ids) expect(receiver.typesOf(id)).toEqual(WHOLE);
  const bodies = new Map<string, Set<string>>();
  for (const { id, body } of receiver.taken) bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
  expect([...bodies.values()].every((set) => set.size === 1)).toBe(true);
  const figures = { conversations: ids.length, webhooks: bodies.size, deliveries: receiver.taken.length };
  process.stdout.write(`figures webhooks in a storm ${JSON.stringify(figures)}\n`);
});
