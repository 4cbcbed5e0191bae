import type { RecordedMessage } from './conversation-ports.ts';
import { LIMITS } from './limits.ts';

export type Recording = { readonly heard: Buffer; readonly messages: readonly RecordedMessage[] };

/** What replicas of ended conversations heard and were told, newest kept, bounded in bytes; `dropped` counts what went. */
export class Recordings {
  readonly #byId = new Map<string, Recording & { bytes: number }>();
  readonly #maxBytes: number;
  #bytes = 0;
  dropped = 0;

  constructor(maxBytes: number = LIMITS.recordingBytes) {
    this.#maxBytes = maxBytes;
  }

  put(id: string, recording: Recording): void {
    this.delete(id);
    const bytes = recording.heard.length + JSON.stringify(recording.messages).length;
    this.#byId.set(id, { ...recording, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#byId.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
      this.dropped += 1;
    }
  }

  get(id: string): Recording | undefined {
    return this.#byId.get(id);
  }

  delete(id: string): void {
    this.#bytes -= this.#byId.get(id)?.bytes ?? 0;
    this.#byId.delete(id);
  }
}
