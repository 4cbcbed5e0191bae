/** The replica's window: joins through the real daily-js, holds the audio graph, and starts the worker that does the rest. */
import { createCallObject, type DailyCall } from '../daily.ts';
import type { ReplicaPageOptions } from '../../replica/page-options.ts';
import type { VoiceOptions } from '../../replica/voice/voice.ts';
import { Ear } from './ear.ts';
import type { FromWorker, ToVoiceWorker, ToWorker } from './messages.ts';
import { RATE } from './rate.ts';

// Chromium's; not in TypeScript's DOM library.
declare const MediaStreamTrackGenerator: new <T>(init: {
  kind: 'audio' | 'video';
}) => MediaStreamTrack & { readonly writable: WritableStream<T> };

let running: { call: DailyCall; worker: Worker } | null = null;

async function start(options: ReplicaPageOptions): Promise<void> {
  if (running) throw new Error('started already');
  const { delayMs, hearing } = options;
  const microphone = new MediaStreamTrackGenerator<AudioData>({ kind: 'audio' });
  const voice = new Worker('/replica/voice-worker.js', { type: 'module' });
  const generator = options.audioOnly ? null : new MediaStreamTrackGenerator<VideoFrame>({ kind: 'video' });

  const worker = new Worker('/replica/worker.js', { type: 'module' });
  const dailyConfig = {
    bundlePathOverride: `${location.origin}/daily`,
    avoidEval: true,
    simulatorReplicaKey: options.replicaKey,
  };
  const call = createCallObject({
    dailyConfig,
    subscribeToTracksAutomatically: false,
    allowMultipleCallInstances: true,
  });
  running = { call, worker };
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
    if (data.type === 'send' && call.meetingState() === 'joined-meeting') call.sendAppMessage(data.data, '*');
  });
  call.on('app-message', ({ data }) => tell(worker, { type: 'app-message', data }));

  const wires = new MessageChannel();
  const voiceOptions = { rate: RATE, delayMs, hearing } satisfies VoiceOptions;
  const voiceStart: ToVoiceWorker = {
    type: 'start',
    options: voiceOptions,
    port: wires.port1,
    microphone: microphone.writable,
  };
  voice.postMessage(voiceStart, [wires.port1, microphone.writable]);
  const video = generator?.writable ?? null;
  const socketUrl = `${location.origin.replace(/^http/, 'ws')}/replica/ws`;
  const first: ToWorker = { type: 'start', options, voice: wires.port2, video, socketUrl };
  tell(worker, first, [wires.port2, ...(video ? [video] : [])]);

  await call.join({
    url: options.url,
    userName: options.userName,
    videoSource: generator ?? false,
    audioSource: microphone,
  });
  if (hearing === 'stream') new Ear(call, voice, options.streamPolicy).listen();
}

async function stop(): Promise<void> {
  const { call, worker } = running ?? {};
  if (worker) tell(worker, { type: 'stop' });
  await call?.leave();
}

function tell(worker: Worker, message: ToWorker, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer);
}

Object.assign(globalThis, { replica: { start, stop } });
