/** The replica's window: joins through the real daily-js, holds the audio graph, and starts the worker that does the rest. */
import { createCallObject, type DailyCall } from '../daily.ts';
import type { ReplicaPageOptions } from '../../replica/page-options.ts';
import type { VoiceOptions } from '../../replica/voice/voice.ts';
import { Ear } from './ear.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { RATE } from './rate.ts';

// Chromium's; not in TypeScript's DOM library.
declare const MediaStreamTrackGenerator: new (init: {
  kind: 'video';
}) => MediaStreamTrack & { readonly writable: WritableStream<VideoFrame> };

let running: { call: DailyCall; worker: Worker } | null = null;

async function start(options: ReplicaPageOptions): Promise<void> {
  if (running) throw new Error('started already');
  // No sound device: the graph's clock is Chromium's own.
  const context = new AudioContext({ sampleRate: RATE, sinkId: { type: 'none' } } as AudioContextOptions);
  await context.audioWorklet.addModule('/replica/voice-worklet.js');
  const { delayMs, hearing } = options;
  const voice = new AudioWorkletNode(context, 'voice', {
    channelCount: 1,
    channelCountMode: 'explicit',
    outputChannelCount: [1],
    processorOptions: { rate: RATE, delayMs, hearing } satisfies VoiceOptions,
  });
  const speech = new MediaStreamAudioDestinationNode(context, { channelCount: 1, channelCountMode: 'explicit' });
  voice.connect(speech);
  const [audioTrack] = speech.stream.getAudioTracks();
  if (!audioTrack) throw new Error('no audio track');
  const generator = options.audioOnly ? null : new MediaStreamTrackGenerator({ kind: 'video' });

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
  voice.port.postMessage(wires.port1, [wires.port1]);
  const video = generator?.writable ?? null;
  const socketUrl = `${location.origin.replace(/^http/, 'ws')}/replica/ws`;
  const first: ToWorker = { type: 'start', options, voice: wires.port2, video, socketUrl };
  tell(worker, first, [wires.port2, ...(video ? [video] : [])]);

  await call.join({
    url: options.url,
    userName: options.userName,
    videoSource: generator ?? false,
    audioSource: audioTrack,
  });
  if (hearing === 'stream') new Ear(call, context, voice, options.streamPolicy).listen();
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
