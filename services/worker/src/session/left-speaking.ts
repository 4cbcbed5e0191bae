import type { TavusVideoService } from '@tavus-fleet/video-service';
import type { EventWriter } from './event-writer.ts';
import type { OwnRecord } from './own-record.ts';

/**
 * An owner that is gone said that the avatar speaks, and could not say any more that it fell silent: its successor does, unless it hears
 * it speak. Never rejects, and nobody waits for it: speech goes on meanwhile, and its answer takes longer than this.
 */
export async function tellSilence(
  record: OwnRecord,
  events: EventWriter,
  service: Pick<TavusVideoService, 'speaking'>,
  signal: AbortSignal,
): Promise<void> {
  const leftSpeaking = await record.leftSpeaking(signal).catch(() => false);
  if (leftSpeaking && !service.speaking) events.write({ type: 'bot-stopped-speaking', data: { source: 'audio' } });
}
