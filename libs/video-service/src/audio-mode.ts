/** The stock persona that expects `conversation.echo` messages (documented by Pipecat); `pipecat-stream` and all others get the track `stream`. */
const ECHO_PERSONA = 'pipecat0';

/** How speech reaches a replica with that persona, unless its owner says otherwise. */
export function audioModeOf(personaId: string | undefined): 'stream' | 'echo' {
  return personaId === ECHO_PERSONA ? 'echo' : 'stream';
}
