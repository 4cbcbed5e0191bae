// Records what the avatar shows and says into a file that browsers and players open.
//
//   FLEET_REDIS=redis://127.0.0.1:6379 node examples/record-avatar.ts speech.wav avatar.webm
//
// Its pictures are written as it sent them, nothing is encoded anew: VP8, VP9 and AV1 go into WebM, H264 goes into MP4. Its voice becomes
// Opus, because WebM takes no plain sound. Both have their times from one clock, so the lips fit.
import { readFile } from 'node:fs/promises';
import { createFleet } from '@tavus-fleet/client';
import { createEncoder } from 'libopus-wasm';
import {
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  FilePathTarget,
  Mp4OutputFormat,
  Output,
  WebMOutputFormat,
} from 'mediabunny';

const { FLEET_REDIS = 'redis://127.0.0.1:6379' } = process.env;
const [speechPath = 'speech.wav', path = 'avatar.webm'] = process.argv.slice(2);
const speech = await readFile(speechPath);
/** The rate at which the voice comes, in blocks of 20 ms, and one of those that Opus takes. */
const RATE = 24_000;

await using fleet = createFleet({ redis: FLEET_REDIS });
await using conversation = await fleet.start({
  replicaId: 'r79e1c033f',
  audio: { sampleRate: RATE },
  output: { streams: { audio: true, video: { format: 'encoded' } } },
});
console.log('conversation', conversation.id);
const recording = record();
const data = speech.indexOf('data') + 8; // a plain mono WAV file
const said = await conversation.say(speech.subarray(data), { rate: speech.readUInt32LE(24) });
await said.played;
await conversation.stop();
console.log('ended', await conversation.ended);
await recording;

/** Both streams end with the conversation. */
async function record(): Promise<void> {
  const pictures = conversation.video();
  const { value: first } = await pictures.next();
  if (!first || first.format === 'jpeg') throw new Error('The avatar was never seen.');
  const { format, pts: fromMs, width, height } = first;
  const isH264 = format === 'h264';
  const output = new Output({
    format: isH264 ? new Mp4OutputFormat() : new WebMOutputFormat(),
    target: new FilePathTarget(path),
  });
  const video = new EncodedVideoPacketSource(isH264 ? 'avc' : format);
  const sound = new EncodedAudioPacketSource('opus');
  output.addVideoTrack(video);
  output.addAudioTrack(sound);
  await output.start();

  const seconds = (pts: number): number => (pts - fromMs) / 1_000;
  const seen = async (): Promise<void> => {
    const codec = isH264 ? h264Name(first.frame) : format;
    let picture = first;
    let isReadable = picture.key; // not before the first one that needs no earlier one
    for (;;) {
      isReadable ||= picture.key;
      const packet = new EncodedPacket(picture.frame, picture.key ? 'key' : 'delta', seconds(picture.pts), 0);
      if (isReadable) await video.add(packet, { decoderConfig: { codec, codedWidth: width, codedHeight: height } });
      const next = await pictures.next();
      if (next.done) return video.close();
      picture = next.value;
    }
  };
  const heard = async (): Promise<void> => {
    using encoder = await createEncoder({ channels: 1, sampleRate: RATE });
    for await (const { audio, pts } of conversation.audio()) {
      if (pts < fromMs) continue; // before the first picture
      const pcm = new Int16Array(audio.buffer);
      const packet = new EncodedPacket(encoder.encode(pcm), 'key', seconds(pts), pcm.length / RATE);
      await sound.add(packet, { decoderConfig: { codec: 'opus', sampleRate: 48_000, numberOfChannels: 1 } });
    }
    sound.close();
  };
  await Promise.all([seen(), heard()]);
  await output.finalize();
  console.log('recorded', path);
}

/** `avc1.` and the three bytes of the first parameter set that say what a decoder must be able to do. */
function h264Name(keyFrame: Uint8Array): string {
  const parameters = Buffer.from(keyFrame).indexOf(Buffer.from([0, 0, 1, 0x67])) + 4;
  return `avc1.${Buffer.from(keyFrame.subarray(parameters, parameters + 3)).toString('hex')}`;
}
