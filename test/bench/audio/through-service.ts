import { FakeClock } from '@tavus-fleet/lifecycle';
import { FakeRoom } from '@tavus-fleet/rooms';
import { TavusVideoService } from '@tavus-fleet/video-service';

const FRAME_MS = 20;
const never = new AbortController().signal;

/**
 * CPU seconds of this process for speech that goes through the whole video service, frame by frame as it is due. Room and clock
 * are stand-ins whose own cost is in it (a copy of the sound, in echo mode the JSON of each message), so it is an upper bound.
 */
export async function cpuThroughService(
  mode: 'stream' | 'echo',
  frame: { rate: number; audio: Uint8Array<ArrayBuffer> },
  seconds: number,
): Promise<number> {
  const clock = new FakeClock();
  const room = new FakeRoom({ conversationId: 'c', epoch: 1 }, clock);
  room.participants = [{ id: 'r', userId: 'tavus-replica-x', local: false, tracks: {} }];
  let playedSamples = 0;
  let refused = 0;
  const service = new TavusVideoService({
    room,
    clock,
    mode,
    sink: {
      push: ({ type }) => {
        if (type === 'frames-dropped' || type === 'error') refused += 1;
      },
      played: (_, { samples }) => void (playedSamples = samples),
    },
    api: {
      create: async () => ({ conversationId: 't', conversationUrl: 'https://tavus.daily.co/t' }),
      end: async () => undefined,
      personaName: async () => 'persona',
    },
  });
  const starting = service.setup(never).then(() => service.start(never));
  await clock.pass(0);
  room.emit({ type: 'video-arrived' });
  await starting;

  const before = process.cpuUsage();
  let at = 0;
  service.processFrame({ type: 'tts-started', position: '0-0' });
  for (let ms = 0; ms < seconds * 1_000; ms += FRAME_MS) {
    service.processFrame({ type: 'tts-audio', ...frame, channels: 1, position: `${(at += 1)}-0` });
    await clock.pass(FRAME_MS);
  }
  service.processFrame({ type: 'tts-stopped', position: `${at + 1}-0` });
  await clock.pass(2_000);
  const { user, system } = process.cpuUsage(before);
  await service.cleanup(never);
  // A figure for speech that was refused, or never played, would be worth nothing.
  if (refused > 0 || playedSamples < (seconds - 0.1) * 24_000)
    throw new Error(`${mode}: ${playedSamples} samples played, ${refused} frames refused`);
  return (user + system) / 1e6;
}
