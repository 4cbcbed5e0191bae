import {
  frameClass,
  parseEntry,
  type EntryFields,
  type InboundFrame,
  type MalformedFrame,
} from '@tavus-fleet/contracts';

export type Entry = { readonly id: string; readonly fields: EntryFields };

export type DroppedWhy = 'interrupted' | 'canceled' | 'trimmed' | 'overflow' | 'after-end' | 'late';

/** What frames-in needs of the conversation it feeds. */
export interface FramesTarget {
  /** Accepted and not yet heard, ms; feeding pauses above FEED_MS. Infinity until the conversation is live. */
  bufferedMs(): number;
  frame(frame: InboundFrame & { readonly position: string }): void;
  /** `end` was reached, in order; or `cancel` came, at once. */
  end(verb: 'stop' | 'cancel', reason: string | undefined): void;
  malformed(what: MalformedFrame): void;
  dropped(count: number, ms: number, why: DroppedWhy): void;
}

/**
 * Reads entries again whose payload was let go. What was trimmed meanwhile is simply absent from the answer. Tries until Redis
 * answers; rejects only when the session is over.
 */
export interface FramesSource {
  read(ids: readonly string[]): Promise<readonly Entry[]>;
}

/** `frame` is absent while its payload is let go; `size` is that payload's, bytes. */
type Waiting = {
  readonly id: string;
  frame: InboundFrame | undefined;
  readonly size: number;
  readonly ms: number;
  readonly keeps: boolean;
};

// The service is kept this far ahead of real time: enough to ride out any pause of ours, little to throw away.
const FEED_MS = 6_000;
// Payload kept in memory (about 15 s of 24 kHz mono); beyond it only ids are kept and audio is read again when its turn comes.
const KEEP_BYTES = 15 * 48_000;
const REREAD_COUNT = 64;
// What is dropped because it comes too late, one entry after the other, is told in pieces of this much.
const TELL_LATE_MS = 1_000;
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
  #giving = false;
  #endWaits = false;
  /** The rest of the utterance that is open is not played. */
  #skipping = false;
  #late = { count: 0, ms: 0 };
  #ended: 'no' | 'end' | 'cancel' = 'no';
  #framesIn = 0;

  constructor(target: FramesTarget, source: FramesSource) {
    this.#target = target;
    this.#source = source;
  }

  get framesIn(): number {
    return this.#framesIn;
  }

  /** An `end` or `cancel` has been read: of what comes after it only system frames count. */
  get endSeen(): boolean {
    return this.#endWaits || this.#ended !== 'no';
  }

  /** Id of the frame that would be fed next. */
  get next(): string | undefined {
    return this.#waiting[0]?.id;
  }

  /** New entries, oldest first, as the reader got them. Never waits. */
  entries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#entry(entry);
    this.pump();
  }

  /** Feeds what may be fed; called whenever the service has played something, also while it takes a frame: then the loop below goes on. */
  pump(): void {
    if (this.#giving) return;
    for (
      let next = this.#waiting[0];
      next && (next.frame?.type === 'end' || this.#target.bufferedMs() < FEED_MS);
      next = this.#waiting[0]
    ) {
      if (!next.frame) {
        void this.#reread();
        return;
      }
      this.#waiting.shift();
      this.#keptBytes -= next.size;
      this.#give(next.frame, next.id);
    }
  }

  /** Ends in order although no `end` entry came (it was trimmed, or never written). */
  endAtTail(reason: string | undefined): void {
    if (this.endSeen) return;
    this.#endWaits = true;
    this.#waiting.push({
      id: '0',
      frame: { type: 'end', ...(reason === undefined ? {} : { reason }) },
      size: 0,
      ms: 0,
      keeps: true,
    });
    this.pump();
  }

  /** Of the utterance that is open nothing more is played, also nothing that is still to come of it. What ends it stays, in its place. */
  skipUtterance(): void {
    this.#skipping = true;
    this.#waiting = this.#waiting.filter((waiting) => {
      const skipped = this.#isSkipped(waiting.frame?.type ?? 'tts-audio', waiting.ms);
      if (skipped && waiting.frame) this.#keptBytes -= waiting.size;
      return !skipped;
    });
    this.#tellLate();
  }

  /** Nobody will play what waits. */
  dropWaiting(why: DroppedWhy): void {
    this.#drop(why, false);
  }

  #isSkipped(type: InboundFrame['type'], ms: number): boolean {
    if (!this.#skipping) return false;
    if (type === 'tts-audio') {
      this.#late = { count: this.#late.count + 1, ms: this.#late.ms + ms };
      if (this.#late.ms >= TELL_LATE_MS) this.#tellLate();
      return true;
    }
    if (type !== 'message' && type !== 'settings-update') {
      this.#skipping = false;
      this.#tellLate();
    }
    return false;
  }

  #tellLate(): void {
    const { count, ms } = this.#late;
    this.#late = { count: 0, ms: 0 };
    if (count > 0) this.#target.dropped(count, ms, 'late');
  }

  #entry(entry: Entry): void {
    this.#framesIn += 1;
    if (this.#ended === 'cancel') return this.#target.dropped(1, 0, 'after-end');
    const parsed = parseEntry(entry.fields);
    if ('malformed' in parsed) return this.#target.malformed(parsed.malformed);
    const { frame } = parsed;
    if (frame.type === 'cancel') {
      this.#ended = 'cancel';
      this.#drop('canceled', false);
      return this.#target.end('cancel', frame.reason);
    }
    if (this.#isSkipped(frame.type, durationMs(frame))) return;
    if (frame.type === 'interruption') {
      this.#drop('interrupted', true);
      return this.#target.frame({ ...frame, position: entry.id });
    }
    if (this.endSeen) return this.#target.dropped(1, durationMs(frame), 'after-end');
    if (frame.type === 'end') this.#endWaits = true;
    if (this.#waiting.length === 0 && (frame.type === 'end' || this.#target.bufferedMs() < FEED_MS))
      return this.#give(frame, entry.id);
    this.#keep(frame, entry.id);
  }

  #keep(frame: InboundFrame, id: string): void {
    if (this.#waiting.length >= MAX_WAITING && frame.type !== 'end')
      return this.#target.dropped(1, durationMs(frame), 'overflow');
    const size = frame.type === 'tts-audio' ? frame.audio.byteLength : 0;
    const letGo = size > 0 && this.#keptBytes + size > KEEP_BYTES;
    if (!letGo) this.#keptBytes += size;
    this.#waiting.push({
      id,
      frame: letGo ? undefined : frame,
      size,
      ms: durationMs(frame),
      keeps: frameClass[frame.type] === 'uninterruptible',
    });
  }

  #give(frame: InboundFrame, id: string): void {
    this.#giving = true;
    try {
      if (frame.type === 'end') {
        this.#ended = 'end';
        this.#target.end('stop', frame.reason);
      } else {
        this.#target.frame({ ...frame, position: id });
      }
    } finally {
      this.#giving = false;
    }
  }

  #drop(why: DroppedWhy, keepUninterruptible: boolean): void {
    const kept = this.#waiting.filter((waiting) => keepUninterruptible && waiting.keeps);
    const dropped = this.#waiting.filter(
      (waiting) => !(keepUninterruptible && waiting.keeps) && waiting.frame?.type !== 'end',
    );
    this.#waiting = kept;
    this.#keptBytes = 0; // what is kept is never audio
    if (dropped.length === 0) return;
    this.#target.dropped(
      dropped.length,
      dropped.reduce((sum, waiting) => sum + waiting.ms, 0),
      why,
    );
  }

  async #reread(): Promise<void> {
    if (this.#rereading) return;
    this.#rereading = true;
    try {
      const wanted = this.#nextLetGo();
      const found = new Map(
        (await this.#source.read(wanted.map((waiting) => waiting.id))).map((entry) => [entry.id, entry]),
      );
      for (const waiting of wanted) this.#fill(waiting, found.get(waiting.id));
    } catch {
      return; // the session is over: nobody waits for these frames any more
    } finally {
      this.#rereading = false;
    }
    this.pump();
  }

  /** The next frames to read again: no more than may be kept, and at least one. */
  #nextLetGo(): Waiting[] {
    const wanted: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (waiting.frame) continue;
      bytes += waiting.size;
      if (wanted.length > 0 && (bytes > KEEP_BYTES || wanted.length >= REREAD_COUNT)) break;
      wanted.push(waiting);
    }
    return wanted;
  }

  #fill(waiting: Waiting, entry: Entry | undefined): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return; // an interruption dropped it meanwhile
    const parsed = entry && parseEntry(entry.fields);
    if (parsed && 'frame' in parsed) {
      waiting.frame = parsed.frame;
      this.#keptBytes += waiting.size;
    } else {
      this.#waiting.splice(at, 1);
      this.#target.dropped(1, waiting.ms, 'trimmed');
    }
  }
}

function durationMs(frame: InboundFrame): number {
  return frame.type === 'tts-audio' ? (frame.audio.byteLength * 1000) / (2 * frame.channels * frame.rate) : 0;
}
