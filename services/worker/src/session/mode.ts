import type { ConversationSpec } from '@tavus-fleet/contracts';

/** The stock persona that expects `conversation.echo` messages (documented by Pipecat); `pipecat-stream` and all others get the track `stream`. */
const ECHO_PERSONA = 'pipecat0';

/** How speech reaches the replica: as asked, else as the persona expects it. */
export function audioMode(spec: ConversationSpec): 'stream' | 'echo' {
  if (spec.audio.mode !== 'auto') return spec.audio.mode;
  return spec.personaId === ECHO_PERSONA ? 'echo' : 'stream';
}
