const BYTES_PER_SAMPLE = 2;
export const RECORDING_RATE = 24_000;
const MAX_SECONDS = 600;

type Stretch = { readonly samples: number; readonly pcm: Buffer | null };

/** What a replica heard, as one continuous timeline; silence takes no memory, and beyond ten minutes the oldest goes. */
export class Recording {
  readonly #maxSamples: number;
  #stretches: Stretch[] = [];
  #samples = 0;

  constructor(maxSeconds = MAX_SECONDS) {
    this.#maxSamples = maxSeconds * RECORDING_RATE;
  }

  /** Appends s16le mono at 24 kHz. */
  add(pcm: Buffer): void {
    this.#push({ samples: Math.floor(pcm.length / BYTES_PER_SAMPLE), pcm });
  }

  addSilence(samples: number): void {
    this.#push({ samples, pcm: null });
  }

  wav(): Buffer {
    const pcm = this.#stretches.map((stretch) => stretch.pcm ?? Buffer.alloc(stretch.samples * BYTES_PER_SAMPLE));
    return wavFile(Buffer.concat(pcm), RECORDING_RATE);
  }

  #push(stretch: Stretch): void {
    this.#stretches.push(stretch);
    this.#samples += stretch.samples;
    while (this.#samples > this.#maxSamples) this.#samples -= this.#stretches.shift()?.samples ?? this.#samples;
  }
}

/** A WAV file of s16le mono samples. */
export function wavFile(pcm: Buffer, rate: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + pcm.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // mono
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * BYTES_PER_SAMPLE, 28);
  header.writeUInt16LE(BYTES_PER_SAMPLE, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(pcm.length, 40);
  return Buffer.concat([header, pcm]);
}
