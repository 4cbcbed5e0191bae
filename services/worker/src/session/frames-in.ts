import { frameClass, parseEntry, type EntryFields, type InboundFrame, type MalformedFrame } from '@tavus-fleet/contracts';

export type Entry = { readonly id: string; readonly fields: EntryFields };

/** What frames-in needs of the conversation it feeds. */
export interface FramesTarget {
  /** Accepted and not yet heard, ms; feeding pauses above FEED_MS. Infinity until the conversation is live. */
  bufferedMs(): number;
  frame(frame: InboundFrame & { readonly position: string }): void;
  /** `end` was reached, in order; or `cancel` came, at once. */
  end(verb: 'stop' | 'cancel', reason: string | undefined): void;
  malformed(what: MalformedFrame): void;
  dropped(count: number, ms: number, why: 'interrupted' | 'trimmed' | 'after-end'): void;
}

/** Reads entries again whose payload was let go. What was trimmed meanwhile is simply absent from the answer. */
export interface FramesSource {
  read(ids: readonly string[]): Promise<readonly Entry[]>;
}

type Waiting = { readonly id: string; frame: InboundFrame | undefined; bytes: number; readonly ms: number; readonly keeps: boolean };

// The service is kept this far ahead of real time: enough to ride out any pause of ours, little to throw away.
const FEED_MS = 6_000;
// Payload kept in memory (about 15 s of 24 kHz mono); beyond it only ids are kept and audio is read again when its turn comes.
const KEEP_BYTES = 15 * 48_000;
const REREAD_COUNT = 64;
// Ids are small, but nothing is unbounded: the stream itself holds about 12 000 entries.
const MAX_WAITING = 20_000;

/**
 * Entries of one conversation's frames stream, in order, into the video service. System frames overtake: an interruption
 * drops every droppable frame that waits; uninterruptible ones keep their place. Live speech passes straight through.
 */
export class FramesIn {
  readonly #target: FramesTarget;
  readonly #source: FramesSource;
  #waiting: Waiting[] = [];
  #keptBytes = 0;
  #rereading = false;
  #ended = false;
  #framesIn = 0;

  constructor(target: FramesTarget, source: FramesSource) {
    this.#target = target;
    this.#source = source;
  }

  get framesIn(): number {
    return this.#framesIn;
  }

  /** An `end` or `cancel` has been read: nothing after it counts. */
  get endSeen(): boolean {
    return this.#ended || this.#waiting.some((waiting) => waiting.frame?.type === 'end');
  }

  /** New entries, oldest first, as the reader got them. Never waits. */
  entries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#entry(entry);
    this.pump();
  }

  /** Feeds what may be fed; called whenever the service has played something. */
  pump(): void {
    for (let next = this.#waiting[0]; next && (next.frame?.type === 'end' || this.#target.bufferedMs() < FEED_MS); next = this.#waiting[0]) {
      if (!next.frame) {
        void this.#reread();
        return;
      }
      this.#waiting.shift();
      this.#keptBytes -= next.bytes;
      this.#give(next.frame, next.id);
    }
  }

  /** Ends in order although no `end` entry came (it was trimmed, or never written). */
  endAtTail(reason: string | undefined): void {
    if (this.endSeen) return;
    this.#waiting.push({ id: '0', frame: { type: 'end', ...(reason === undefined ? {} : { reason }) }, bytes: 0, ms: 0, keeps: true });
    this.pump();
  }

  #entry(entry: Entry): void {
    this.#framesIn += 1;
    if (this.#ended) return this.#target.dropped(1, 0, 'after-end');
    const parsed = parseEntry(entry.fields);
    if ('malformed' in parsed) return this.#target.malformed(parsed.malformed);
    const { frame } = parsed;
    if (frame.type === 'cancel') {
      this.#ended = true;
      this.#drop('interrupted', false);
      return this.#target.end('cancel', frame.reason);
    }
    if (frame.type === 'interruption') {
      this.#drop('interrupted', true);
      return this.#target.frame({ ...frame, position: entry.id });
    }
    if (this.#waiting.length === 0 && (frame.type === 'end' || this.#target.bufferedMs() < FEED_MS)) return this.#give(frame, entry.id);
    this.#keep(frame, entry.id);
  }

  #keep(frame: InboundFrame, id: string): void {
    if (this.#waiting.length >= MAX_WAITING) return this.#target.dropped(1, durationMs(frame), 'trimmed');
    const bytes = frame.type === 'tts-audio' ? frame.audio.byteLength : 0;
    const letGo = bytes > 0 && this.#keptBytes + bytes > KEEP_BYTES;
    if (!letGo) this.#keptBytes += bytes;
    this.#waiting.push({ id, frame: letGo ? undefined : frame, bytes: letGo ? 0 : bytes, ms: durationMs(frame), keeps: frameClass[frame.type] === 'uninterruptible' });
  }

  #give(frame: InboundFrame, id: string): void {
    if (this.#ended) return;
    if (frame.type === 'end') {
      this.#ended = true;
      this.#target.end('stop', frame.reason);
    } else {
      this.#target.frame({ ...frame, position: id });
    }
  }

  #drop(why: 'interrupted', keepUninterruptible: boolean): void {
    const kept = keepUninterruptible ? this.#waiting.filter((waiting) => waiting.keeps) : [];
    const dropped = this.#waiting.filter((waiting) => !kept.includes(waiting));
    this.#waiting = kept;
    this.#keptBytes = kept.reduce((sum, waiting) => sum + waiting.bytes, 0);
    if (dropped.length === 0) return;
    this.#target.dropped(dropped.length, dropped.reduce((sum, waiting) => sum + waiting.ms, 0), why);
  }

  async #reread(): Promise<void> {
    if (this.#rereading) return;
    this.#rereading = true;
    try {
      const wanted = this.#waiting.filter((waiting) => !waiting.frame).slice(0, REREAD_COUNT);
      const found = new Map((await this.#source.read(wanted.map((waiting) => waiting.id))).map((entry) => [entry.id, entry]));
      for (const waiting of wanted) this.#fill(waiting, found.get(waiting.id));
    } finally {
      this.#rereading = false;
    }
    this.pump();
  }

  #fill(waiting: Waiting, entry: Entry | undefined): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return; // an interruption dropped it meanwhile
    const parsed = entry && parseEntry(entry.fields);
    if (parsed && 'frame' in parsed) {
      waiting.frame = parsed.frame;
      waiting.bytes = parsed.frame.type === 'tts-audio' ? parsed.frame.audio.byteLength : 0;
      this.#keptBytes += waiting.bytes;
    } else {
      this.#waiting.splice(at, 1);
      this.#target.dropped(1, waiting.ms, 'trimmed');
    }
  }
}

function durationMs(frame: InboundFrame): number {
  return frame.type === 'tts-audio' ? (frame.audio.byteLength * 1000) / (2 * frame.channels * frame.rate) : 0;
}
