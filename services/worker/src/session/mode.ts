import type { ConversationSpec } from '@tavus-fleet/contracts';
import { audioModeOf } from '@tavus-fleet/video-service';

/** How speech reaches the replica: as asked, else as the persona expects it. */
export function audioMode(spec: ConversationSpec): 'stream' | 'echo' {
  return spec.audio.mode === 'auto' ? audioModeOf(spec.personaId) : spec.audio.mode;
}
