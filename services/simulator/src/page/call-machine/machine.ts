import { Call } from './call.ts';
import {
  CUSTOM_TRACK_MARKER,
  recordOf,
  stringOf,
  type CallMachineHandle,
  type DailyInstance,
  type ModuleMessage,
} from './daily-js.ts';
import { LocalMedia } from './local-media.ts';
import { emptyState, type MachineState } from './store.ts';
import { Subscriptions } from './subscriptions.ts';

type Reply = (fields: Record<string, unknown>) => void;
type Handler = (message: ModuleMessage, reply: Reply) => void | Promise<void>;

/**
 * The call machine of one daily-js call object: takes its messages, keeps the state it reads, and owns the present call.
 * Every message with a stamp is answered, since daily-js waits for ever.
 */
export class Machine implements CallMachineHandle {
  readonly store = { getState: (): MachineState => this.#state };
  readonly #id: string;
  readonly #instance: () => DailyInstance | undefined;
  #state = emptyState();
  #local: LocalMedia;
  #subscriptions: Subscriptions;
  #call: Call | null = null;
  #isInitialized = false;
  #sendSettings: unknown = {};
  #inputSettings: Record<string, unknown> = {};
  /** Rejects the `join()` under way; null when none is. */
  #failJoin: ((error: unknown) => void) | null = null;

  constructor(id: string, instance: () => DailyInstance | undefined) {
    this.#id = id;
    this.#instance = instance;
    this.#subscriptions = new Subscriptions(this.#state.local.public.subscribedTracks);
    this.#local = this.#freshLocal();
  }

  /** daily-js calls this before it joins again with the same object. */
  reset(): void {
    this.#end();
    this.#local.reset();
    this.#state = emptyState();
    this.#subscriptions = new Subscriptions(this.#state.local.public.subscribedTracks);
    this.#local = this.#freshLocal();
    this.#isInitialized = false;
  }

  /** The call object was destroyed; daily-js has no message for it. */
  destroyed(): void {
    this.#end();
    this.#local.reset();
  }

  async handle(message: ModuleMessage): Promise<void> {
    const stamp = message.callbackStamp;
    const reply: Reply = (fields) => {
      if (stamp !== undefined) this.#send({ callbackStamp: stamp, ...fields });
    };
    const handler = Object.hasOwn(this.#handlers, message.action) ? this.#handlers[message.action] : undefined;
    if (!handler) return reply({ error: `not supported by the simulator: ${message.action}` });
    try {
      await handler(message, reply);
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) });
    }
  }

  announce(): void {
    this.#post('loaded');
  }

  readonly #handlers: Readonly<Record<string, Handler>> = {
    'join-meeting': (message, reply) => this.#join(message, reply),
    'leave-meeting': () => {
      this.#failJoin?.('left before joined');
      this.#end();
      this.#local.reset();
      this.#post('left-meeting');
    },
    'start-camera': async ({ properties, preloadCache }, reply) => {
      this.#initialize();
      await this.#local.configure(recordOf(properties), recordOf(preloadCache));
      this.#post('started-camera', this.#local.devices());
      reply(this.#local.devices());
    },
    'daily-method-preauth': (_message, reply) => {
      this.#initialize();
      reply({ access: { level: 'full' } });
    },
    'set-input-devices': async (message, reply) => {
      if (!this.#isInitialized) return reply({ returnPreloadCache: true });
      const video = stringOf(message['videoDeviceId']);
      const audio = stringOf(message['audioDeviceId']);
      await Promise.all([
        video === undefined ? undefined : this.#local.setSource('video', video),
        audio === undefined ? undefined : this.#local.setSource('audio', audio),
      ]);
      reply(this.#local.devices());
    },
    'get-input-devices': (_message, reply) =>
      reply(this.#isInitialized ? this.#local.devices() : { returnPreloadCache: true }),
    'set-output-device': (_message, reply) =>
      reply(this.#isInitialized ? this.#local.devices() : { returnPreloadCache: true }),
    'update-input-settings': async ({ inputSettings }, reply) => {
      const settings = recordOf(inputSettings);
      this.#inputSettings = { ...this.#inputSettings, ...settings };
      for (const kind of ['audio', 'video'] as const) {
        const { customTrack, deviceId } = recordOf(recordOf(settings[kind])['settings']);
        const source = customTrack === CUSTOM_TRACK_MARKER ? CUSTOM_TRACK_MARKER : stringOf(deviceId);
        if (source !== undefined) await this.#local.setSource(kind, source);
      }
      reply({ inputSettings: this.#inputSettings });
      this.#post('input-settings-updated', { inputSettings: this.#inputSettings });
    },
    'local-video': ({ state }) => this.#local.setOn('video', state === true),
    'local-audio': ({ state }) => this.#local.setOn('audio', state === true),
    'set-allow-local-video': ({ state }) => this.#local.setAllowed('video', state === true),
    'set-allow-local-audio': ({ state }) => this.#local.setAllowed('audio', state === true),
    // Synchronous up to the read of the shared slot: a second startCustomTrack overwrites it in the next task.
    'start-custom-track': ({ properties }, reply) => {
      reply({ mediaTag: this.#local.startCustom(stringOf(recordOf(properties)['trackName'])) });
    },
    'stop-custom-track': ({ mediaTag }, reply) => {
      this.#local.stopCustom(stringOf(mediaTag) ?? '');
      reply({ mediaTag });
    },
    'local-screen-start': () => this.#local.setScreen(true),
    'local-screen-stop': () => this.#local.setScreen(false),
    'app-msg': ({ data, to }) => {
      const ids = Array.isArray(to) ? to.filter((id) => typeof id === 'string') : stringOf(to);
      this.#call?.sendAppMessage(ids ?? '*', data);
    },
    'set-user-data': ({ userData }, reply) => {
      this.#call?.localChanged({ userData });
      reply({ userData });
    },
    'set-user-name': ({ name }, reply) => {
      const userName = stringOf(name) ?? '';
      this.#call?.localChanged({ userName });
      reply({ userName });
    },
    'daily-method-subscribe-to-tracks-automatically': ({ enabled }) => {
      this.#subscriptions.setAutomatic(enabled === true);
      this.#call?.subscriptionsChanged();
    },
    'update-participant': async ({ id, properties }) => {
      await this.#updateParticipant(stringOf(id) ?? '', recordOf(properties));
      this.#call?.subscriptionsChanged();
    },
    'update-participants': async ({ participants }) => {
      for (const [id, properties] of Object.entries(recordOf(participants)))
        await this.#updateParticipant(id, recordOf(properties));
      this.#call?.subscriptionsChanged();
    },
    'update-receive-settings': ({ receiveSettings }, reply) => {
      reply({ receiveSettings });
      this.#post('receive-settings-updated', { receiveSettings });
    },
    'get-single-participant-receive-settings': (_message, reply) => reply({ receiveSettings: {} }),
    'update-send-settings': ({ sendSettings }, reply) => {
      this.#sendSettings = { ...recordOf(this.#sendSettings), ...recordOf(sendSettings) };
      this.#call?.publish();
      reply({ sendSettings: this.#sendSettings });
      this.#post('send-settings-updated', { sendSettings: this.#sendSettings });
    },
    'get-calc-stats': async (_message, reply) => reply({ stats: { latest: (await this.#call?.stats()) ?? {} } }),
    'get-network-topology': (_message, reply) => reply({ topology: 'peer' }),
    'lib-room-info': (_message, reply) =>
      reply({ id: this.#state.local.public.id, config: {}, domainConfig: {}, tokenConfig: {} }),
    'transmit-log': () => {},
  };

  async #join({ properties, preloadCache }: ModuleMessage, reply: Reply): Promise<void> {
    const given = recordOf(properties);
    const preload = recordOf(preloadCache);
    const dailyConfig = recordOf(given['dailyConfig']);
    const url = stringOf(given['url']);
    if (url === undefined) return reply({ error: 'no meeting URL' });
    this.#initialize();
    this.#end();
    this.#failJoin = (error) => reply({ error });
    this.#sendSettings = { ...recordOf(given['sendSettings']), ...recordOf(preload['sendSettings']) };
    const automatic = preload['subscribeToTracksAutomatically'] ?? given['subscribeToTracksAutomatically'];
    this.#subscriptions.setAutomatic(automatic !== false);
    const replicaKey = stringOf(dailyConfig['simulatorReplicaKey']);
    const userId = stringOf(dailyConfig['simulatorUserId']);
    const userName = stringOf(given['userName']);
    const token = stringOf(given['token']);
    // The application's own tracks are there at once; a device that asks for permission must not hold up the join.
    void this.#local.configure(given, preload);
    const call: Call = new Call({
      url: this.#socketUrl(),
      join: {
        url,
        ...(token === undefined ? {} : { token }),
        ...(userName === undefined ? {} : { userName }),
        ...(userId === undefined ? {} : { userId }),
        ...(replicaKey === undefined ? {} : { replicaKey }),
        ...(given['userData'] === undefined ? {} : { userData: given['userData'] }),
      },
      preferH264: dailyConfig['preferH264ForCam'] === true || dailyConfig['preferH264'] === true,
      state: this.#state,
      local: this.#local,
      subscriptions: this.#subscriptions,
      sendSettings: () => this.#sendSettings,
      post: (action, fields) => {
        if (action === 'joined-meeting') this.#failJoin = null;
        this.#post(action, fields);
      },
      onFatal: (error) => {
        if (this.#call === call) this.#fatal(error);
      },
    });
    this.#call = call;
  }

  async #updateParticipant(id: string, properties: Record<string, unknown>): Promise<void> {
    const isLocal = id === 'local' || id === this.#state.local.public.id;
    if (isLocal) {
      if (typeof properties['setAudio'] === 'boolean') await this.#local.setOn('audio', properties['setAudio']);
      if (typeof properties['setVideo'] === 'boolean') await this.#local.setOn('video', properties['setVideo']);
      return;
    }
    // Muting or ejecting others needs a meeting owner, and nobody is one here (no tokens): ignored, as Daily does.
    if (properties['setSubscribedTracks'] === undefined) return;
    const ids = id === '*' ? (this.#call?.participantIds() ?? []) : [id];
    for (const sessionId of ids) this.#subscriptions.set(sessionId, properties['setSubscribedTracks']);
  }

  /** daily-js goes to `error`, rejects a pending join with this event, and expects `left-meeting` right after it. */
  #fatal(error: { type: string; msg: string; details?: unknown }): void {
    this.#failJoin = null;
    this.#end();
    this.#post('error', { errorMsg: error.msg, error });
    this.#post('left-meeting');
  }

  #initialize(): void {
    if (this.#isInitialized) return;
    this.#isInitialized = true;
    this.#post('call-machine-initialized');
  }

  #end(): void {
    const call = this.#call;
    this.#call = null;
    this.#failJoin = null;
    call?.close();
  }

  #freshLocal(): LocalMedia {
    return new LocalMedia(
      this.#state.local,
      () => this.#instance()?.tracks ?? {},
      () => this.#call?.localChanged(),
    );
  }

  /** Beside the bundle, wherever that came from. */
  #socketUrl(): string {
    const url = new URL('ws', this.#instance()?.publicPath ?? location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
  }

  #post(action: string, fields: Record<string, unknown> = {}): void {
    this.#send({ action, ...fields });
  }

  #send(fields: Record<string, unknown>): void {
    const message = { what: 'iframe-call-message', from: 'embedded', callClientId: this.#id, ...fields };
    window.postMessage(message, location.protocol === 'file:' ? '*' : location.origin);
  }
}
