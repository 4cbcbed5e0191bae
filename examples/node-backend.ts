// A product backend in Node: start an avatar, let it say a WAV file, watch what happens, stop it.
//
//   FLEET_API=http://127.0.0.1:8080 FLEET_KEY=… node examples/node-backend.ts speech.wav
//   FLEET_REDIS=redis://127.0.0.1:6379 node examples/node-backend.ts speech.wav      the same, straight through Redis
//
// ROOM=https://you.daily.co/room shows the avatar to whoever is in that room. WAV: 16 bit PCM, 8 to 48 kHz, mono or stereo.
import { readFile } from 'node:fs/promises';
import { createFleet } from '@tavus-fleet/client';

const { FLEET_API = 'http://127.0.0.1:8080', FLEET_KEY = '', FLEET_REDIS, ROOM } = process.env;

// Leaving the block closes what was opened here, and ends a conversation that an error left running.
await using fleet = createFleet(FLEET_REDIS ? { redis: FLEET_REDIS } : { url: FLEET_API, key: FLEET_KEY });
await using conversation = await fleet.start({
  replicaId: 'r79e1c033f',
  ...(ROOM ? { output: { room: { url: ROOM } } } : {}),
});
console.log('conversation', conversation.id);

const watching = (async () => {
  for await (const { type, data } of conversation.events()) console.log('event', type, JSON.stringify(data));
})();

await conversation.live();
const { rate, channels, pcm } = readWav(await readFile(process.argv[2] ?? 'speech.wav'));
const { played } = await conversation.say(pcm, { rate, channels });
console.log('played', JSON.stringify(await played));

await conversation.stop(); // what was said is heard to its end; cancel() would silence it
console.log('ended', await conversation.ended);
await watching;

/** The sound of a plain WAV file. */
function readWav(file: Buffer): { rate: number; channels: 1 | 2; pcm: Buffer } {
  const data = file.indexOf('data');
  const pcm = file.subarray(data + 8, data + 8 + file.readUInt32LE(data + 4));
  return { rate: file.readUInt32LE(24), channels: file.readUInt16LE(22) === 2 ? 2 : 1, pcm };
}
