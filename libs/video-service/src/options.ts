import type { SettingsDelta } from '@tavus-fleet/contracts';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import type { PictureOptions, Room, WatchOptions } from '@tavus-fleet/rooms';
import { audioModeOf } from './audio-mode.ts';
import type { ConversationApi } from './conversation-api.ts';
import { directConversations, type DirectOptions } from './direct-conversations.ts';
import type { FrameSink } from './frames.ts';

/** Runs the work of a named step: a tracer makes a span of it. */
export type Step = <T>(name: 'join tavus room' | 'first picture', work: () => Promise<T>) => Promise<T>;

/** `room` stays its maker's, who closes it. Conversations come through `api`, or straight from Tavus by key and ids. */
export type TavusVideoServiceOptions = {
  readonly room: Room;
  readonly sink: FrameSink;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** How speech reaches the replica. Default: as the persona expects it, see `audioModeOf`. */
  readonly mode?: 'stream' | 'echo';
  readonly settings?: SettingsDelta;
  readonly audioOnly?: boolean;
  /**
   * The users are in the Tavus room themselves (Pipecat's TavusTransport): they hear the replica there, so its microphone is
   * not taken by us, and who speaks is known from Tavus' events alone.
   */
  readonly direct?: boolean;
  /** Told of each step of the start, around it. Default: nobody is. */
  readonly step?: Step;
  /** The avatar's voice and its pictures as frames too, once the transport behind us is ready. */
  readonly outputs?: { readonly audio?: boolean; readonly video?: PictureOptions };
  readonly metrics?: { readonly enabled?: boolean; readonly onlyInitialTtfb?: boolean };
} & ({ readonly api: ConversationApi } | DirectOptions);

/** The options with everything decided. */
export type ServiceParts = {
  readonly room: Room;
  readonly sink: FrameSink;
  readonly clock: Clock;
  readonly mode: 'stream' | 'echo';
  readonly api: ConversationApi;
  readonly step: Step;
  /** What of the replica is taken. */
  readonly wanted: WatchOptions;
};

export function partsOf(options: TavusVideoServiceOptions): ServiceParts {
  const { room, sink, clock = systemClock, mode, audioOnly = false, direct = false, outputs, step } = options;
  const byKey = 'api' in options ? undefined : options;
  const pcm = outputs?.audio ?? false;
  return {
    room,
    sink,
    clock,
    mode: mode ?? audioModeOf(byKey?.personaId),
    api: 'api' in options ? options.api : directConversations(options, clock),
    step: step ?? ((_, work) => work()),
    wanted: {
      video: !audioOnly,
      audio: !direct || pcm,
      ...(pcm ? { pcm } : {}),
      ...(outputs?.video === undefined || audioOnly ? {} : { picture: outputs.video }),
    },
  };
}
