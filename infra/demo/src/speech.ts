import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { readWav } from '@tavus-fleet/audio';
import { addFrame, createKeys, type RedisConnection } from '@tavus-fleet/redis';

export type Speech = { readonly rate: number; readonly samples: Int16Array };

/** Recorded speech of the repository, mono. */
export function speech(file: 'speech-24k.wav' | 'speech-16k.wav'): Speech {
  const { rate, samples } = readWav(readFileSync(new URL(`../assets/${file}`, import.meta.url)));
  return { rate, samples };
}

const CHUNK_MS = 20;

/**
 * Sends one utterance as entries of the frames stream: in real time as a TTS would that speaks live, or all at once.
 * Answers when the first piece was handed to Redis, ms since 1970.
 */
export async function say(
  redis: RedisConnection,
  conversationId: string,
  { rate, samples }: Speech,
  pace: 'live' | 'burst',
  signal: AbortSignal,
): Promise<{ firstAtMs: number }> {
  const keys = createKeys('fleet');
  const chunk = Math.round((rate * CHUNK_MS) / 1000);
  await addFrame(redis, keys, conversationId, { type: 'tts-started' });
  const firstAtMs = Date.now();
  for (let at = 0, sent = 0; at < samples.length; at += chunk, sent += 1) {
    const part = samples.slice(at, at + chunk);
    await addFrame(redis, keys, conversationId, {
      type: 'tts-audio',
      rate,
      channels: 1,
      audio: new Uint8Array(part.buffer),
    });
    const due = firstAtMs + (sent + 1) * CHUNK_MS;
    if (pace === 'live' && due > Date.now()) await pause(due - Date.now(), undefined, { signal });
  }
  await addFrame(redis, keys, conversationId, { type: 'tts-stopped' });
  return { firstAtMs };
}
