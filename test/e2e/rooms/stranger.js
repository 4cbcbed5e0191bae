// A website that uses daily-js as Daily documents it and knows nothing of the simulator. Tests drive it through `site`.
import Daily from '@daily-co/daily-js';

const EVENTS = [
  'error',
  'left-meeting',
  'network-connection',
  'app-message',
  'participant-joined',
  'participant-left',
  'track-started',
  'track-stopped',
];
const events = [];
const ears = new Map();
const sounds = new Map();
let call = null;

const site = {
  events,

  /** 'joined', or the type of the error that `join()` was rejected with. */
  async join(bundle, url, userName, options = {}) {
    if (!call) {
      call = Daily.createCallObject({
        dailyConfig: { bundlePathOverride: bundle },
        videoSource: false,
        audioSource: false,
        ...options,
      });
      for (const name of EVENTS)
        call.on(name, (e) =>
          events.push({
            name,
            at: performance.now(),
            type: e.type,
            error: e.error?.type,
            event: e.event,
            data: e.data,
            who: e.participant?.user_name,
          }),
        );
    }
    try {
      await call.join({ url, userName });
      return 'joined';
    } catch (error) {
      return error?.error?.type ?? String(error);
    }
  },
  /** leave() while join() is still under way; gives what join() said. */
  async leaveWhileJoining(bundle, url) {
    call = Daily.createCallObject({
      dailyConfig: { bundlePathOverride: bundle },
      videoSource: false,
      audioSource: false,
    });
    // With the code still loading, daily-js never answers a join that was left; that is its own doing.
    await call.load({ url });
    const joining = site.join(bundle, url, 'Hasty');
    await call.leave();
    return joining;
  },
  /** Two call objects at once; who they see, and the first leaves again. */
  async joinTwice(bundle, url) {
    const calls = ['One', 'Two'].map((userName) => {
      const dailyConfig = { bundlePathOverride: bundle, avoidEval: true };
      return [
        Daily.createCallObject({
          dailyConfig,
          videoSource: false,
          audioSource: false,
          allowMultipleCallInstances: true,
        }),
        userName,
      ];
    });
    await Promise.all(calls.map(([each, userName]) => each.join({ url, userName })));
    const [[one]] = calls;
    while (Object.keys(one.participants()).length < 2)
      await new Promise((resolve) => one.once('participant-joined', resolve));
    const names = Object.values(one.participants()).map((p) => p.user_name);
    await one.destroy();
    return names.toSorted((a, b) => a.localeCompare(b));
  },
  leave: () => call.leave(),
  me: () => call.participants().local.session_id,
  names: () => Object.values(call.participants()).map((p) => p.user_name),
  userIds: () => Object.values(call.participants()).map((p) => p.user_id),
  trackState: (name, track) => find(name)?.tracks[track]?.state,
  say(data, to = '*') {
    try {
      call.sendAppMessage(data, to);
      return 'sent';
    } catch (error) {
      return error.message;
    }
  },
  subscribe: (name, wanted) => void call.updateParticipant(find(name).session_id, { setSubscribedTracks: wanted }),
  stats: async () => (await call.getNetworkStats()).stats.latest,
  sendSettings: (settings) => call.updateSendSettings(settings),

  /** Publishes a custom audio track that is silent until `play`. */
  async publish(trackName, rate) {
    const context = new AudioContext({ sampleRate: rate });
    const target = new MediaStreamAudioDestinationNode(context, { channelCount: 1, channelCountMode: 'explicit' });
    sounds.set(trackName, { context, target });
    return call.startCustomTrack({ track: target.stream.getAudioTracks()[0], trackName });
  },
  stopCustom: (trackName) => call.stopCustomTrack(trackName),
  /** s16 mono PCM in base64; resolves when it has been played, or stopped by `hush`. */
  play(trackName, base64) {
    const { context, target } = sounds.get(trackName);
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (s) => s / 32768);
    const buffer = context.createBuffer(1, samples.length, context.sampleRate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(target);
    source.start();
    sounds.get(trackName).source = source;
    return new Promise((resolve) => source.addEventListener('ended', () => resolve('ended')));
  },
  hush: (trackName) => sounds.get(trackName).source.stop(),
  now: () => performance.now(),

  /** Publishes a moving picture as the camera. */
  async camera(width, height) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    setInterval(() => {
      context.fillStyle = `hsl(${performance.now() / 10} 60% 50%)`;
      context.fillRect(0, 0, width, height);
    }, 100);
    await call.setInputDevicesAsync({ videoSource: canvas.captureStream(10).getVideoTracks()[0] });
    call.setLocalVideo(true);
  },

  /** Starts to note the RMS of every 10 ms of a participant's track. */
  listenTo(name, track) {
    const media = find(name).tracks[track].persistentTrack;
    const player = new Audio();
    player.muted = true;
    player.srcObject = new MediaStream([media]);
    void player.play();
    const levels = [];
    const reader = new MediaStreamTrackProcessor({ track: media }).readable.getReader();
    ears.set(name, { player, levels });
    void (async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const samples = new Float32Array(next.value.numberOfFrames);
        next.value.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
        next.value.close();
        levels.push([performance.now(), Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length)]);
      }
    })();
  },
  /** When the last (`loud`) 10 ms were heard; undefined when never. */
  lastLoud: (name) => ears.get(name).levels.findLast(([, rms]) => rms > 0.02)?.[0],

  /** How many frames of a participant's video come within `ms`. */
  async framesWithin(name, ms) {
    const reader = new MediaStreamTrackProcessor({
      track: find(name).tracks.video.persistentTrack,
    }).readable.getReader();
    const end = new Promise((resolve) => setTimeout(() => resolve(null), ms));
    for (let count = 0; ; count += 1) {
      const next = await Promise.race([reader.read(), end]);
      next?.value?.close();
      if (next) continue;
      await reader.cancel();
      return count;
    }
  },

  /** Luma planes of the next frames of a participant's video, base64, with the time of arrival. */
  async frames(name, count) {
    const reader = new MediaStreamTrackProcessor({
      track: find(name).tracks.video.persistentTrack,
    }).readable.getReader();
    const taken = [];
    while (taken.length < count) {
      const { value: frame } = await reader.read();
      const { codedWidth: width, codedHeight: height } = frame;
      const bytes = new Uint8Array(frame.allocationSize());
      const [{ offset, stride }] = await frame.copyTo(bytes);
      frame.close();
      const luma = btoa(
        Array.from(bytes.subarray(offset, offset + stride * height), (b) => String.fromCharCode(b)).join(''),
      );
      taken.push({ at: performance.timeOrigin + performance.now(), width, height, stride, luma });
    }
    await reader.cancel();
    return taken;
  },
};

function find(name) {
  return Object.values(call.participants()).find((p) => !p.local && p.user_name === name);
}

globalThis.site = site;
