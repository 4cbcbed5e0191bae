// A whole voice agent around the avatar: hears the users of a room, understands them, answers in the avatar's voice, and is silent when they speak.
//
//   FLEET_REDIS=redis://127.0.0.1:6379 ROOM=https://you.daily.co/room node examples/voice-agent.ts answer.wav
//
// `understand` and `voice` are where your speech-to-text, your model and your text-to-speech go; here they are stand-ins. It ends when the
// last user has left.
import { readFile } from 'node:fs/promises';
import { createFleet } from '@tavus-fleet/client';

type Speech = { readonly rate: number; readonly pcm: Uint8Array };

const { FLEET_REDIS = 'redis://127.0.0.1:6379', ROOM = '' } = process.env;
const answer = readWav(await readFile(process.argv[2] ?? 'answer.wav'));

await using fleet = createFleet({ redis: FLEET_REDIS });
await using conversation = await fleet.start({
  replicaId: 'r79e1c033f',
  output: { room: { url: ROOM, name: 'Agent' }, userAudio: true },
});
console.log('conversation', conversation.id);

/** What each user has said since they began. */
const said = new Map<string, Uint8Array[]>();
const hearing = (async () => {
  for await (const { participant, audio } of conversation.userAudio()) said.get(participant)?.push(audio);
})();

/** Who has said something and is still there. */
const users = new Set<string>();
for await (const { type, data } of conversation.events()) {
  if (type === 'user-started-speaking') {
    users.add(data.participantId);
    said.set(data.participantId, []);
    await conversation.interrupt(); // whoever speaks is listened to
  } else if (type === 'user-stopped-speaking') void reply(data.participantId);
  else if (type === 'participant-left' && users.delete(data.participantId) && users.size === 0)
    await conversation.stop();
}
console.log('ended', await conversation.ended);
await hearing;

async function reply(user: string): Promise<void> {
  const pcm = Buffer.concat(said.get(user) ?? []);
  said.delete(user);
  const text = await understand({ rate: 24_000, pcm });
  if (text === '') return; // a cough
  console.log('understood', text);
  const { rate, pcm: speech } = await voice(text);
  const { interrupted, played } = await conversation.say(speech, { rate });
  console.log('answered', JSON.stringify({ interrupted, ...(await played) }));
}

/** Speech to text, and a model's answer to it. */
async function understand({ rate, pcm }: Speech): Promise<string> {
  const seconds = pcm.byteLength / 2 / rate;
  return seconds < 0.3 ? '' : `${seconds.toFixed(1)} s of speech`;
}

/** Text to speech. */
async function voice(_text: string): Promise<Speech> {
  return answer;
}

/** The sound of a plain mono WAV file. */
function readWav(file: Buffer): Speech {
  const data = file.indexOf('data');
  return { rate: file.readUInt32LE(24), pcm: file.subarray(data + 8, data + 8 + file.readUInt32LE(data + 4)) };
}
