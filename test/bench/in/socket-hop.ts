import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createKeys } from '@tavus-fleet/redis';
import { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { nowUs, stamp, stampOf } from '../hop/clock.ts';
import { quantile, round } from '../harness/quantiles.ts';

/** From a producer's send to a reader's having the entry, µs. */
export type Hop = { readonly p50Us: number; readonly p99Us: number };
type Options = {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly redisUrl: string;
  readonly producers: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
};

const MESSAGE_MS = 20;

/** So many producers send 20 ms of speech in real time, each to a conversation of its own; one reader waits for all of it. */
export async function socketHop({ url, headers, redisUrl, producers, seconds, signal }: Options): Promise<Hop> {
  const ids = await Promise.all(Array.from({ length: producers }, () => started(url, headers)));
  const sockets = await Promise.all(ids.map((id) => connected(url, headers, id)));
  const total = producers * Math.round((seconds * 1_000) / MESSAGE_MS);
  const reader = new Redis(redisUrl);
  const reading = latencies(reader, ids, total);
  try {
    const begun = performance.now();
    for (let sent = 0; sent < total; sent += 1) {
      // Evenly spread over time, as producers that know nothing of each other are.
      const dueMs = begun + (sent * MESSAGE_MS) / producers - performance.now();
      if (dueMs > 1) await pause(dueMs, undefined, { signal });
      const audio = Buffer.alloc(960);
      stamp(audio);
      sockets[sent % producers]?.send(audio);
    }
    const values = await reading;
    return { p50Us: round(quantile(values, 0.5), 0), p99Us: round(quantile(values, 0.99), 0) };
  } finally {
    for (const socket of sockets) socket.terminate();
    reader.disconnect();
  }
}

async function started(url: string, headers: Record<string, string>): Promise<string> {
  const answer = await fetch(`${url}/v1/conversations`, { method: 'POST', headers, body: '{"replicaId":"r"}' });
  return z.object({ conversationId: z.string() }).parse(await answer.json()).conversationId;
}

async function connected(url: string, headers: Record<string, string>, id: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/conversations/${id}/audio`, { headers });
  await once(socket, 'open');
  return socket;
}

async function latencies(reader: Redis, ids: readonly string[], total: number): Promise<number[]> {
  const keys = createKeys('fleet');
  const streams = ids.map((id) => keys.conversation(id).frames);
  const places = new Map(streams.map((key, index) => [key, index]));
  const at = streams.map(() => '0');
  const values: number[] = [];
  while (values.length < total) {
    const reply = await reader.xreadBuffer('COUNT', 128, 'BLOCK', 5_000, 'STREAMS', ...streams, ...at);
    if (!reply) throw new Error(`Only ${values.length} of ${total} messages arrived.`);
    for (const [key, entries] of reply) {
      for (const [id, fields] of entries) {
        const pcm = fields[7];
        if (pcm) values.push(nowUs() - stampOf(pcm));
        const place = places.get(key.toString());
        if (place !== undefined) at[place] = id.toString();
      }
    }
  }
  return values;
}
