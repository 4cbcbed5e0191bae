// A product backend: XADDs 20 ms of 24 kHz mono for each of N conversations in real time, then ends. What is sent in the
// first warmSeconds carries no stamp and does not count.
import { setTimeout as pause } from 'node:timers/promises';
import { createKeys } from '@tavus-fleet/redis';
import { Redis } from 'ioredis';
import { stamp } from './clock.ts';

const [url = '', prefix = '', conversations = '1', seconds = '1', warmSeconds = '0'] = process.argv.slice(2);
const keys = createKeys(prefix);
const streams = Array.from({ length: Number(conversations) }, (_, index) => keys.conversation(`c${index}`).frames);
const perMs = (streams.length * 50) / 1_000;
const warm = Math.round(perMs * Number(warmSeconds) * 1_000);
const total = warm + Math.round(perMs * Number(seconds) * 1_000);
const redis = new Redis(url);
await redis.ping();

let failed = 0;
let sent = 0;
const startedAt = performance.now();
while (sent < total) {
  // Evenly spread over time, as conversations that know nothing of each other are.
  const due = Math.min(total, Math.floor((performance.now() - startedAt) * perMs) + 1);
  for (; sent < due; sent += 1) {
    const key = streams[sent % streams.length] ?? '';
    const audio = Buffer.alloc(960);
    if (sent >= warm) stamp(audio);
    redis
      .xadd(key, 'MAXLEN', '~', 12_000, '*', 'type', 'tts-audio', 'rate', '24000', 'channels', '1', 'audio', audio)
      .catch(() => (failed += 1));
  }
  await pause(Math.max(0, startedAt + sent / perMs - performance.now()));
}
await redis.quit();
process.exitCode = failed > 0 ? 1 : 0;
