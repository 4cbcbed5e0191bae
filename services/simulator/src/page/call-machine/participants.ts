import type { WireParticipant, WireTrack } from '../../daily/protocol.ts';
import type { InTrack } from './inbound.ts';
import type { Subscribed } from './store.ts';

/** One entry of a daily-js participant's `tracks`; daily-js adds the track itself from the store. */
type DailyTrack = {
  subscribed: Subscribed;
  state: 'blocked' | 'off' | 'sendable' | 'loading' | 'interrupted' | 'playable';
  off?: Record<string, true>;
  blocked?: Record<string, true>;
  /** daily-js shows a custom track only when its kind is said. */
  kind?: 'audio' | 'video';
};

const BUILT_IN = { audio: 'audio', video: 'video', screenAudio: 'audio', screenVideo: 'video' } as const;
const OFF: WireTrack = { kind: 'video', on: false };

/** A participant in the shape that daily-js takes; `trackOf` says how each of its tracks stands here. */
export function dailyParticipant(
  wire: WireParticipant,
  options: { local: boolean; trackOf: (key: string, track: WireTrack) => DailyTrack },
): Record<string, unknown> {
  const tracks: Record<string, DailyTrack> = {};
  for (const key of Object.keys(BUILT_IN)) tracks[key] = options.trackOf(key, wire.tracks[key] ?? OFF);
  for (const [key, track] of Object.entries(wire.tracks))
    if (!(key in BUILT_IN)) tracks[key] = { ...options.trackOf(key, track), kind: track.kind };
  const isUp = (key: string): boolean => tracks[key]?.state === 'playable';
  return {
    session_id: wire.sessionId,
    user_id: wire.userId,
    user_name: wire.userName,
    ...(wire.userData === undefined || wire.userData === null ? {} : { userData: wire.userData }),
    local: options.local,
    owner: false,
    record: false,
    joined_at: new Date(wire.joinedAt),
    will_eject_at: new Date(0),
    permissions: { hasPresence: true, canSend: true, canReceive: { base: true }, canAdmin: false },
    networkQualityState: 'good',
    cam_info: {},
    screen_info: {},
    audio: isUp('audio'),
    video: isUp('video'),
    screen: isUp('screenVideo'),
    tracks,
  };
}

export function localTrack(track: WireTrack): DailyTrack {
  if (track.blocked !== undefined) return { subscribed: true, state: 'blocked', blocked: { [track.blocked]: true } };
  return track.on ? { subscribed: true, state: 'playable' } : { subscribed: true, state: 'off', off: { byUser: true } };
}

export function remoteTrack(track: WireTrack, subscribed: Subscribed, received: InTrack | undefined): DailyTrack {
  if (track.blocked !== undefined) return { subscribed, state: 'blocked', blocked: { [track.blocked]: true } };
  if (!track.on) return { subscribed, state: 'off', off: { byUser: true } };
  if (subscribed !== true) return { subscribed, state: 'sendable' };
  if (!received || !received.hasPlayed) return { subscribed, state: 'loading' };
  return { subscribed, state: received.track.muted ? 'interrupted' : 'playable' };
}
