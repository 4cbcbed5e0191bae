import { interruptMessage } from '@tavus-fleet/tavus';
import { EchoMessages } from './echo-messages.ts';
import type { Position, Progress } from './frames.ts';
import type { ServiceParts } from './options.ts';
import type { TavusVideoSettings } from './settings.ts';
import { Speech } from './speech.ts';
import { StreamTrack } from './stream-track.ts';

/** The way out of one conversation's speech, in its mode. `maxMessageLength`: the joined room's limit, UTF-16 units. */
export function makeSpeech(
  { room, sink, clock, mode }: ServiceParts,
  of: { conversationId: string; maxMessageLength: number; settings: TavusVideoSettings },
): Speech {
  const { conversationId, maxMessageLength, settings } = of;
  const onPlayed = (position: Position | undefined, progress: Progress): void => sink.played(position, progress);
  const out =
    mode === 'stream'
      ? new StreamTrack(room, clock, onPlayed)
      : new EchoMessages({
          room,
          clock,
          conversationId,
          maxMessageLength,
          onPlayed,
          sink,
          pacing: () => ({ paced: settings.audioPacing === 'paced', chunkMs: settings.echoChunkMs }),
          onSilent: () => speech.giveUpWaiting(),
        });
  const speech: Speech = new Speech(out, sink, room, clock, (own) => room.send(interruptMessage(conversationId), own));
  return speech;
}
