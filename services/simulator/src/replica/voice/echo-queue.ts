export type EchoEvent =
  | { readonly kind: 'started'; readonly inferenceId: string }
  | { readonly kind: 'stopped'; readonly inferenceId: string; readonly samples: number };

type Utterance = {
  readonly id: string;
  readonly chunks: Float32Array[];
  queued: number;
  played: number;
  isDone: boolean;
  isPlaying: boolean;
  starvedFor: number;
};

/** Sound collected before an utterance starts, so that late chunks do not make it stutter (100 ms, as Pipecat's mock of Tavus does). */
const PREBUFFER_SECONDS = 0.1;
/** An utterance that is never declared done counts as over after this much nothing. Our choice. */
const STARVED_SECONDS = 1;
const MAX_QUEUED_SECONDS = 120;
const MAX_REMEMBERED_IDS = 256;

/**
 * Echo audio in the order in which its utterances began, played out in real time by `pull`. A new inference id closes the
 * one before: what still comes for it is dropped (observed with Tavus: switching early cut sentences short). The same
 * holds for ids that were interrupted.
 */
export class EchoQueue {
  droppedSamples = 0;
  readonly #rate: number;
  readonly #onEvent: (event: EchoEvent) => void;
  #utterances: Utterance[] = [];
  #closedIds: string[] = [];
  #queued = 0;

  constructor(rate: number, onEvent: (event: EchoEvent) => void) {
    this.#rate = rate;
    this.#onEvent = onEvent;
  }

  push(inferenceId: string, samples: Float32Array, isDone: boolean): void {
    if (this.#closedIds.includes(inferenceId) || this.#queued + samples.length > MAX_QUEUED_SECONDS * this.#rate) {
      this.droppedSamples += samples.length;
      return;
    }
    let last = this.#utterances.at(-1);
    if (last?.id !== inferenceId) {
      if (last) this.#finish(last);
      last = { id: inferenceId, chunks: [], queued: 0, played: 0, isDone: false, isPlaying: false, starvedFor: 0 };
      this.#utterances.push(last);
    }
    if (samples.length > 0) last.chunks.push(samples);
    last.queued += samples.length;
    this.#queued += samples.length;
    if (isDone) this.#finish(last);
  }

  /** Adds the next samples to `out`. */
  pull(out: Float32Array): void {
    const current = this.#utterances[0];
    if (!current) return;
    if (!current.isPlaying) {
      if (!current.isDone && current.queued < PREBUFFER_SECONDS * this.#rate) return this.#starve(current, out.length);
      current.isPlaying = true;
      if (current.queued > 0 && current.played === 0) this.#onEvent({ kind: 'started', inferenceId: current.id });
    }
    const taken = this.#take(current, out);
    current.starvedFor = taken > 0 ? 0 : current.starvedFor;
    if (taken === out.length) return;
    if (current.isDone) this.#over(current);
    else this.#starve(current, out.length - taken);
  }

  /** Forgets everything unplayed. */
  interrupt(): void {
    for (const utterance of this.#utterances) this.#closeId(utterance.id);
    this.#utterances = [];
    this.#queued = 0;
  }

  #take(utterance: Utterance, out: Float32Array): number {
    let filled = 0;
    while (filled < out.length) {
      const chunk = utterance.chunks[0];
      if (!chunk) break;
      const count = Math.min(chunk.length, out.length - filled);
      for (let i = 0; i < count; i += 1) out[filled + i] = (out[filled + i] ?? 0) + (chunk[i] ?? 0);
      if (count === chunk.length) utterance.chunks.shift();
      else utterance.chunks[0] = chunk.subarray(count);
      filled += count;
    }
    utterance.queued -= filled;
    utterance.played += filled;
    this.#queued -= filled;
    return filled;
  }

  #starve(utterance: Utterance, samples: number): void {
    utterance.starvedFor += samples;
    if (utterance.starvedFor < STARVED_SECONDS * this.#rate) return;
    // Not closed: if more comes after all, it is spoken as a new turn of the same id.
    if (utterance.queued > 0) utterance.isDone = true;
    else this.#over(utterance);
  }

  #over(utterance: Utterance): void {
    this.#utterances.shift();
    if (utterance.played > 0) this.#onEvent({ kind: 'stopped', inferenceId: utterance.id, samples: utterance.played });
  }

  #finish(utterance: Utterance): void {
    utterance.isDone = true;
    this.#closeId(utterance.id);
  }

  #closeId(id: string): void {
    if (this.#closedIds.includes(id)) return;
    this.#closedIds.push(id);
    if (this.#closedIds.length > MAX_REMEMBERED_IDS) this.#closedIds.shift();
  }
}
