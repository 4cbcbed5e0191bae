const WINDOW_MS = 2_000;

/**
 * Which frames of an encoded picture may be left out so that at most `maxFps` are left: whole upper temporal layers, on which
 * nothing below depends. The lowest layer always stays, so a source without layers passes as it comes. Layers are taken
 * back only with a key frame: what came later could refer to what was left out.
 */
export class TemporalLayers {
  readonly #maxFps: number;
  /** Arrivals of the last two seconds: when, and of which layer. */
  #recent: { readonly at: number; readonly layer: number }[] = [];
  #highest = Number.POSITIVE_INFINITY;

  constructor(maxFps: number) {
    this.#maxFps = maxFps;
  }

  /** Whether the frame stays. `layer`: its temporal layer, 0 where there are none. */
  keeps(layer: number, key: boolean, now: number): boolean {
    this.#recent = [...this.#recent.filter(({ at }) => now - at < WINDOW_MS), { at: now, layer }];
    const fits = this.#fitting(now);
    if (key || fits < this.#highest) this.#highest = fits;
    return layer === 0 || layer <= this.#highest;
  }

  /** The highest layer that stays within the rate with all below it. Nothing is judged before there is a second to judge by. */
  #fitting(now: number): number {
    const spanMs = now - (this.#recent[0]?.at ?? now);
    if (spanMs < WINDOW_MS / 2) return Number.POSITIVE_INFINITY;
    const layers = [...new Set(this.#recent.map(({ layer }) => layer))].toSorted((a, b) => a - b);
    const fpsUpTo = (layer: number): number =>
      ((this.#recent.filter((frame) => frame.layer <= layer).length - 1) * 1_000) / spanMs;
    // A frame's jitter more or less does not cost a layer.
    const fitting = layers.filter((layer) => fpsUpTo(layer) <= this.#maxFps * 1.1);
    return fitting.length === layers.length ? Number.POSITIVE_INFINITY : (fitting.at(-1) ?? 0);
  }
}
