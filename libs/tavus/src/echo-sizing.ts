import { echoMessage } from './messages.ts';

const NOTHING = new Uint8Array(0);

/**
 * Most bytes of PCM (whole s16 samples) that one echo message can carry so that `JSON.stringify(message).length` stays within
 * `limit`: what daily-js measures, UTF-16 units (4096 unless the room's domain allows more). 0 when not even one sample fits.
 */
export function maxEchoBytes(message: {
  limit: number;
  conversationId: string;
  inferenceId: string;
  sampleRate: number;
  done?: boolean;
}): number {
  const { limit, done = false, ...ids } = message;
  const rest = limit - JSON.stringify(echoMessage({ ...ids, done, audio: NOTHING })).length;
  const bytes = Math.floor(Math.max(0, rest) / 4) * 3; // base64: three bytes in four characters, a part of three costs four as well
  return bytes - (bytes % 2);
}
