// How good and how costly the audio path is: signal to noise of every rate pair, speed, and CPU for an hour of speech.
// Speed is what one core does with frames of 20 ms, as producers send them.
// Medians of five runs; the machine's other work is in the figures.
import { bytesOf, createResampler, UtteranceNormalizer } from '@tavus-fleet/audio';
import { SpeexStream } from '@tavus-fleet/audio/speex';
import { cpuThroughService } from './audio/through-service.ts';
import type { BenchOptions } from './harness/bench.ts';

const RUNS = 5;
const FRAME_MS = 20;
const AMPLITUDE = 32_767 * 10 ** (-1 / 20); // −1 dBFS
const TONES_HZ = [100, 440, 1000, 2500, 3400, 5000, 7000];
const PAIRS: readonly (readonly [number, number])[] = [
  [16_000, 24_000],
  [24_000, 16_000],
  [44_100, 24_000],
  [48_000, 24_000],
  [22_050, 24_000],
  [8_000, 24_000],
];

export const about =
  'signal to noise and speed of every rate pair; CPU per hour of speech: audio path alone, and whole video service';

export async function run({ say, quick }: BenchOptions): Promise<object> {
  const pairs = PAIRS.map(([from, to]) => ({
    pair: `${from}→${to}`,
    ...quality(from, to),
    timesRealTime: Math.round(speed(from, to, 20)),
  }));
  for (const { pair, int16SnrDb, timesRealTime } of pairs)
    say(`${pair}: ${int16SnrDb} dB, ${timesRealTime} times real time`);
  const service: Record<string, number> = {};
  for (const mode of ['stream', 'echo'] as const)
    for (const rate of [24_000, 16_000])
      service[`${mode} ${rate}→24000`] = await servicePerHour(mode, rate, quick ? 10 : 60);
  for (const [name, seconds] of Object.entries(service)) say(`${name}: ${seconds} CPU seconds per hour of speech`);
  return {
    pairs,
    /** The whole video service, its stand-ins included. */
    serviceCpuSecondsPerHour: service,
    /** libs/audio alone, bytes to bytes. */
    cpuSecondsPerHour: {
      '24000→24000': cpuPerHour(24_000),
      '16000→24000': cpuPerHour(16_000),
      '48000 stereo→24000': cpuPerHour(48_000, 2),
    },
  };
}

function quality(from: number, to: number): { floatSnrDb: number; int16SnrDb: number; largestGainDb: number } {
  const tones = TONES_HZ.filter((hz) => hz < 0.44 * Math.min(from, to)).map((hz) => {
    const float = fit(inFloat(tone(hz, from, 1), from, to), hz, to);
    return { float, int16: fit(resample(Int16Array.from(tone(hz, from, 1), Math.round), from, to), hz, to) };
  });
  return {
    floatSnrDb: round(Math.min(...tones.map((one) => one.float.snrDb)), 1),
    int16SnrDb: round(Math.min(...tones.map((one) => one.int16.snrDb)), 1),
    largestGainDb: round(Math.max(...tones.map((one) => Math.abs(one.float.gainDb))), 3),
  };
}

function tone(hz: number, rate: number, seconds: number): Float32Array {
  return Float32Array.from({ length: rate * seconds }, (_, i) => AMPLITUDE * Math.sin((2 * Math.PI * hz * i) / rate));
}

/** Before rounding to 16 bits, which alone allows 97 dB at this loudness. */
function inFloat(samples: Float32Array, from: number, to: number): Float32Array {
  const stream = new SpeexStream(from, to);
  const heard = stream.process(samples);
  stream.close();
  return heard;
}

function resample(samples: Int16Array, from: number, to: number): Int16Array {
  const resampler = createResampler(from, to);
  return Int16Array.from([...resampler.process(samples), ...resampler.flush()]);
}

/** What is not the tone, in dB below it: least squares over the middle of the signal. */
function fit(heard: Int16Array | Float32Array, hz: number, rate: number): { snrDb: number; gainDb: number } {
  const w = (2 * Math.PI * hz) / rate;
  const middle = [...heard.entries()].slice(Math.floor(heard.length * 0.2), Math.floor(heard.length * 0.8));
  const sum = (of: (i: number, y: number) => number): number => middle.reduce((total, [i, y]) => total + of(i, y), 0);
  const cc = sum((i) => Math.cos(w * i) ** 2);
  const ss = sum((i) => Math.sin(w * i) ** 2);
  const cs = sum((i) => Math.cos(w * i) * Math.sin(w * i));
  const yc = sum((i, y) => y * Math.cos(w * i));
  const ys = sum((i, y) => y * Math.sin(w * i));
  const a = (yc * ss - ys * cs) / (cc * ss - cs ** 2);
  const b = (ys * cc - yc * cs) / (cc * ss - cs ** 2);
  const model = (i: number): number => a * Math.cos(w * i) + b * Math.sin(w * i);
  const signal = sum((i) => model(i) ** 2);
  const noise = sum((i, y) => (y - model(i)) ** 2);
  return { snrDb: 10 * Math.log10(signal / noise), gainDb: 20 * Math.log10(Math.hypot(a, b) / AMPLITUDE) };
}

function speed(from: number, to: number, seconds: number): number {
  const frame = Int16Array.from(tone(1000, from, FRAME_MS / 1000));
  return median(() => {
    const resampler = createResampler(from, to);
    const startedAt = performance.now();
    for (let ms = 0; ms < seconds * 1000; ms += FRAME_MS) resampler.process(frame);
    resampler.flush();
    return (seconds * 1000) / (performance.now() - startedAt);
  });
}

/** The whole path of an utterance, bytes to bytes, in CPU seconds of this process per hour of sound. */
function cpuPerHour(rate: number, channels = 1): number {
  const seconds = 30;
  const audio = bytesOf(Int16Array.from(tone(1000, rate * channels, FRAME_MS / 1000)));
  const used = median(() => {
    const normalizer = new UtteranceNormalizer(24_000);
    const before = process.cpuUsage();
    for (let ms = 0; ms < seconds * 1000; ms += FRAME_MS) normalizer.push({ rate, channels, audio });
    normalizer.end();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  });
  return round((used * 3600) / seconds, 3);
}

/** Frames through the whole video service, per hour of speech. */
async function servicePerHour(mode: 'stream' | 'echo', rate: number, seconds: number): Promise<number> {
  const frame = { rate, audio: new Uint8Array(bytesOf(Int16Array.from(tone(1000, rate, FRAME_MS / 1000)))) };
  await cpuThroughService(mode, frame, seconds); // the first run compiles
  const runs: number[] = [];
  for (let run = 0; run < RUNS; run += 1) runs.push(await cpuThroughService(mode, frame, seconds));
  return round(((runs.toSorted((a, b) => a - b)[RUNS >> 1] ?? 0) * 3600) / seconds, 2);
}

function median(measure: () => number): number {
  measure(); // the first run compiles
  return Array.from({ length: RUNS }, measure).toSorted((a, b) => a - b)[RUNS >> 1] ?? 0;
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
